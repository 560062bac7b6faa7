"""What is asked and said of releases: versions, and what serves."""

from typing import Literal

from pydantic import Field, field_validator

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.gate import GateDecision
from tasks.contracts.serving import ModelVersion, Route
from tasks.contracts.training import Archive, TrainingRun
from tasks.spec import Name, PipelineSpec


class RegisterRequest(Request):
    spec: PipelineSpec
    run: TrainingRun
    archive: Archive
    decision: GateDecision


class DeployRequest(Request):
    spec: PipelineSpec
    version: ModelVersion


class WithReason(Request):
    """What a person asks for about a model; `reason` says why, and the ledger keeps it."""

    model: Name
    reason: str

    @field_validator("reason")
    @classmethod
    def _is_said(cls, reason: str) -> str:
        if not reason.strip():
            raise ValueError("is blank; the ledger keeps why this was asked for: say it")
        return reason


class WithdrawRequest(WithReason):
    """Which model is to be served no longer."""


class RollbackRequest(WithReason):
    """Which model goes back to the version that served before.

    Attributes:
        leaving: The version that is left; None for whichever serves by then.
    """

    leaving: str | None


class Withdrawal(Contract):
    """What was taken out of service; each field is empty where an earlier try had done it.

    Attributes:
        served: The route that served.
        unloaded: Versions that the backend held.
        champion: The version that the alias named.
        closed_requests: Trainings that had been granted.
    """

    model: str
    served: Route | None
    unloaded: tuple[str, ...]
    champion: str | None
    closed_requests: tuple[str, ...]


class RolloutCheck(Contract):
    check: str
    passed: bool
    detail: str


class Rollout(Contract):
    """A change of what serves.

    `stable` serves at the end; `previous` served before and stays loaded for a rollback.
    """

    model: str
    stable: Route
    previous: Route | None
    candidate: Route | None
    traffic_share: float = Field(ge=0, le=1)
    checks: tuple[RolloutCheck, ...]
    verdict: Literal["deployed", "already_serving", "kept_previous", "rolled_back"]
    seconds: float
