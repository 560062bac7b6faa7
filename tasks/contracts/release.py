"""What is asked and said of releases: versions, and what serves."""

from typing import Literal

from pydantic import AwareDatetime, Field, field_validator

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.gate import GateDecision
from tasks.contracts.ledger import LedgerEntry
from tasks.contracts.rollout import TrafficSplit
from tasks.contracts.serving import ModelVersion, Route
from tasks.contracts.training import Archive, TrainingRun
from tasks.spec import PRODUCTION, Name, PipelineSpec


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
        environment: Where.
    """

    leaving: str | None
    environment: str = PRODUCTION


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

    `stable` serves at the end, None where nothing does any more (`withdrawn`); `previous` served before and
    stays loaded for a rollback.
    """

    model: str
    stable: Route | None
    previous: Route | None
    candidate: Route | None
    traffic_share: float = Field(ge=0, le=1)
    checks: tuple[RolloutCheck, ...]
    verdict: Literal["deployed", "already_serving", "kept_previous", "rolled_back", "withdrawn"]
    seconds: float


class ReconcileRequest(Request):
    """Hold what is there against the ledger.

    Attributes:
        models: Those that are looked at; empty for all that MLflow or the ledger knows.
        thorough: Whether to look also for what changes nothing that users see: promotions that nobody carried
            on, versions that no decision made, archives that nothing uses.
    """

    models: tuple[Name, ...] = ()
    thorough: bool = False


class SeenModel(Contract):
    """What is there of a model, and what the ledger says of it.

    Attributes:
        route: Where the gateway sends its requests; None where it is not served.
        last_change: The number of the newest change of the route; 0 before the first.
        alias: The version that MLflow's alias `champion` names.
        moved_by: Who moved that alias last, where MLflow knows it.
        entries: Of the ledger, oldest first: those that change what serves or the alias, releases by steps,
            their completions, and what a reconciliation decided.
        split: How the gateway divides the requests; None where one version answers all.
        at: When it was looked.
    """

    model: Name
    route: Route | None
    last_change: int
    alias: str | None
    moved_by: str | None
    entries: tuple[LedgerEntry, ...]
    split: TrafficSplit | None = None
    at: AwareDatetime | None = None


class Mismatch(Contract):
    """Where a model and the ledger do not agree.

    Attributes:
        kind: `route` (not what the newest switch in the ledger says), `alias` (does not follow what serves,
            because what moves it was killed), `person` (somebody else moved the alias), `unfinished` (the
            entry lacks its completion), `release` (a split without a release, or one that nobody follows),
            `ab` (a comparison that the gateway does not make, or one that it makes and nobody started),
            `environment` (an environment before production).
        entry: The entry that it is about; None where there is none.
        why: A sentence.
    """

    model: Name
    kind: Literal["route", "alias", "person", "unfinished", "release", "ab", "environment"]
    entry: LedgerEntry | None
    why: str


class Settled(Contract):
    """What became of something that the reconciliation found; a sentence says what and why.

    Attributes:
        version: Of an outcome `handed over`: the version whose release by steps has to be started.
        entry: The number of the entry that says so.
    """

    model: str
    outcome: Literal["carried on", "undone", "released", "handed over", "completed", "noted", "removed"]
    why: str
    version: str | None = None
    entry: int | None = None


class Reconciliation(Contract):
    """Everything that was settled; empty where all agreed.

    Attributes:
        faults: What could not be settled, a sentence each; it is looked at again.
    """

    settled: tuple[Settled, ...]
    faults: tuple[str, ...] = ()
