"""What each step is asked: one request a verb. The result's contract is beside it in `VERBS`."""

from pydantic import AwareDatetime, Field

from tasks.contracts import (
    Archive,
    CollectResult,
    Contract,
    DataSnapshot,
    DriftDecision,
    EvaluationReport,
    GateDecision,
    IngestResult,
    ModelVersion,
    PreflightReport,
    RetrainTicket,
    Rollout,
    TrainingRun,
    ValidationReport,
)
from tasks.spec import PipelineSpec, TableSpec


class StepContext(Contract):
    """Who asks.

    Attributes:
        actor: What the ledger names as the decider, for example
            `airflow:train_review_sentiment/manual__2026-…/gate`.
        step_key: DAG, run, task and map index: the same for every try of one task.
        work_url: A folder of the step's own, where it keeps its reports and intermediate files.
        code_commit: The commit that the run's DAG came from; None where that is not known, as in a plain
            folder.
    """

    actor: str
    step_key: str
    work_url: str
    code_commit: str | None = None


class Request(Contract):
    context: StepContext


class IngestRequest(Request):
    """`files`: names in the table's landing folder; None for everything that lies there."""

    table: TableSpec
    files: tuple[str, ...] | None = None


class PreflightRequest(Request):
    spec: PipelineSpec


class SnapshotRequest(Request):
    spec: PipelineSpec
    as_of: AwareDatetime | None = None


class ValidateRequest(Request):
    spec: PipelineSpec
    snapshot: DataSnapshot


class TrainRequest(Request):
    """`parameters`: values for MLproject's parameters; those left out take its defaults.

    `reason`: why this run.
    """

    spec: PipelineSpec
    snapshot: DataSnapshot
    validation: ValidationReport
    parameters: dict[str, str | int | float] = Field(default_factory=dict)
    reason: str = "asked for by hand"


class PackageRequest(Request):
    spec: PipelineSpec
    run: TrainingRun


class EvaluateRequest(Request):
    spec: PipelineSpec
    run: TrainingRun
    archive: Archive


class GateRequest(Request):
    spec: PipelineSpec
    run: TrainingRun
    archive: Archive
    evaluation: EvaluationReport


class RegisterRequest(Request):
    spec: PipelineSpec
    run: TrainingRun
    archive: Archive
    decision: GateDecision


class DeployRequest(Request):
    spec: PipelineSpec
    version: ModelVersion


class CollectRequest(Request):
    spec: PipelineSpec


class DriftRequest(Request):
    """The window is [window_start, window_end) by the time of prediction."""

    spec: PipelineSpec
    window_start: AwareDatetime
    window_end: AwareDatetime


class RetrainRequest(Request):
    """Ask for a training. A `decision` that does not say `retrain` is refused."""

    spec: PipelineSpec
    decision: DriftDecision | None = None
    reason: str = "asked for by hand"


VERBS: dict[str, tuple[type[Request], type[Contract]]] = {
    "ingest": (IngestRequest, IngestResult),
    "preflight": (PreflightRequest, PreflightReport),
    "snapshot": (SnapshotRequest, DataSnapshot),
    "validate": (ValidateRequest, ValidationReport),
    "train": (TrainRequest, TrainingRun),
    "package": (PackageRequest, Archive),
    "evaluate": (EvaluateRequest, EvaluationReport),
    "gate": (GateRequest, GateDecision),
    "register": (RegisterRequest, ModelVersion),
    "deploy": (DeployRequest, Rollout),
    "collect": (CollectRequest, CollectResult),
    "drift": (DriftRequest, DriftDecision),
    "retrain": (RetrainRequest, RetrainTicket),
}
