"""What is asked and said of releases: versions, and what serves."""

from typing import Any, Literal

from pydantic import Field

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.gate import GateDecision
from tasks.contracts.training import Archive, TrainingRun
from tasks.spec import PipelineSpec


class RegisterRequest(Request):
    spec: PipelineSpec
    run: TrainingRun
    archive: Archive
    decision: GateDecision


class ModelVersion(Contract):
    """A version of the MLflow registered model, with the archive that was judged."""

    model: str
    version: str
    run_id: str
    archive: Archive
    decision_ledger_hash: str
    tags: dict[str, str]


class DeployRequest(Request):
    spec: PipelineSpec
    version: ModelVersion


class Route(Contract):
    """Where the gateway sends a model's requests, and what it answers and checks with.

    Attributes:
        backend_version: The version's name in the serving backend (the archive's version).
        archive_sha256: Of the archive that serves.
        input_example: An instance to show users; the gateway checks nothing with it.
    """

    model: str
    model_version: str
    run_id: str
    backend_version: str
    archive_sha256: str
    input_schema: dict[str, Any]
    label_schema: dict[str, Any]
    input_example: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: float


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
