"""What is asked and said of the environments that a version passes through before production."""

from typing import Literal

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.release import RolloutCheck
from tasks.contracts.serving import Route
from tasks.spec import PipelineSpec


class EnterRequest(Request):
    """Let a version serve in an environment, if it shows there what it has to.

    Attributes:
        environment: Its name in `release.environments` of the specification.
        version: Its number in MLflow.
        reason: Why; the ledger keeps it.
    """

    spec: PipelineSpec
    environment: str
    version: str
    reason: str = ""


class Passage(Contract):
    """A version that serves in an environment and has shown there what it has to.

    Attributes:
        route: The archive's hash is in it: what the next environment serves has the same.
        verdict: `already_there` where it had passed before, and serves there still.
    """

    model: str
    environment: str
    route: Route
    previous: Route | None
    checks: tuple[RolloutCheck, ...]
    verdict: Literal["entered", "already_there"]
    why: str
    ledger_hash: str
