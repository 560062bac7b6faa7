"""The contracts that cross between environments: frozen, versioned, JSON, with units in the names.

A heavy step reads a request and writes one of these as its result; Airflow keeps nothing else. What a contract names by URL
(parts, reports, archives) lies in the store.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Contract(BaseModel):
    """Frozen data with a version; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    contract_version: Literal[1] = 1


# --- data -------------------------------------------------------------------------------------------------------------


class FileOutcome(Contract):
    """What became of one landed file.

    Attributes:
        status: `published` (rows joined the table), `already_published` (an earlier try had appended it), `empty` (every
            row was quarantined), or `refused` (a whole-file fault: nothing joined).
        reason: Why it was refused; a sentence.
        report_url: The validation report, HTML; None when the file could not be read.
    """

    file: str
    status: Literal["published", "already_published", "empty", "refused"]
    batch_id: str | None
    published_rows: int = 0
    quarantined_rows: int = 0
    reason: str | None = None
    report_url: str | None = None


class IngestResult(Contract):
    table: str
    table_version: int | None
    files: tuple[FileOutcome, ...]
    published_rows: int
    quarantined_rows: int


class SnapshotPart(Contract):
    """One Parquet file of a snapshot; `sha256` is over its rows' content in key order, not over the file."""

    url: str
    rows: int
    sha256: str


class DataSnapshot(Contract):
    """The rows that one training saw: a query on a pinned version of a table, in three parts.

    Attributes:
        as_of: The time that was asked for; None for the newest version.
        version_at: When the pinned version was committed, by the commit's own timestamp.
        sha256: Over the three parts' hashes and the query.
    """

    table: str
    table_version: int
    as_of: AwareDatetime | None
    version_at: AwareDatetime
    query: str
    rows: int
    sha256: str
    train: SnapshotPart
    validation: SnapshotPart
    test: SnapshotPart


class FailedExpectation(Contract):
    """An expectation that was not met: GX's type and arguments, counts in rows, and at most 20 sample values."""

    expectation: str
    column: str | None
    arguments: dict[str, Any]
    unexpected_rows: int | None
    unexpected_share: float | None
    samples: tuple[str, ...] = ()
    message: str


class ValidationReport(Contract):
    """What a suite said of some rows. `url` is the full report as self-contained HTML, `json_url` the same as JSON."""

    suite: str
    suite_sha256: str
    success: bool
    rows: int
    evaluated: int
    failed: tuple[FailedExpectation, ...]
    url: str
    json_url: str


# --- training and judgement -------------------------------------------------------------------------------------------


class TrainingRun(Contract):
    """One training and everything that it came from.

    Attributes:
        model_files_url: The folder of files that training wrote for serving (weights, vocabulary, ...).
        code_commit: The project's Git commit, with `+dirty` where the tree had changes; None outside Git.
        image_digest: The container image of the step; None where it ran as a process.
        lock_sha256: The hash of the environment's lock file.
    """

    model: str
    run_id: str
    experiment_id: str
    code_commit: str | None
    image_digest: str | None
    lock_sha256: str
    parameters: dict[str, str]
    seed: int
    snapshot: DataSnapshot
    model_files_url: str


class Archive(Contract):
    """A TorchServe model archive.

    Attributes:
        version: The version inside its manifest: the MLflow run id.
        example_prediction: What its handler answers to the specification's `input_example`; the smoke test of a
            deployment expects the same.
    """

    model: str
    version: str
    run_id: str
    url: str
    sha256: str
    size_bytes: int
    example_prediction: dict[str, Any]


class Metric(Contract):
    """A metric on the frozen rows with its 95 % confidence interval."""

    name: str
    value: float
    low: float
    high: float


class SliceScore(Contract):
    """The primary metric where `column` has `value`; NaN where the slice does not define it."""

    column: str
    value: str
    rows: int
    metric: Metric


class ModelScore(Contract):
    """One model on the frozen rows. The latency is of single requests through the archive's handler, in this process."""

    role: Literal["candidate", "champion", "baseline"]
    name: str
    run_id: str | None
    archive_sha256: str | None
    archive_bytes: int | None
    metrics: tuple[Metric, ...]
    slices: tuple[SliceScore, ...]
    latency_p50_seconds: float | None
    latency_p95_seconds: float | None


class PairedDifference(Contract):
    """Candidate minus champion in the primary metric on the same rows, with a paired 95 % interval.

    Attributes:
        slice_value: The value of the data's `slice_by` column; None for all rows.
        p_value: Of the paired test that the two are equally good (McNemar's exact test); None where it does not apply.
    """

    slice_value: str | None
    rows: int
    difference: float
    low: float
    high: float
    p_value: float | None


class EvaluationReport(Contract):
    """Candidate, champion and baseline on one frozen set. `frozen_sha256` is the hash of the snapshot's test part."""

    model: str
    frozen_sha256: str
    rows: int
    primary_metric: str
    candidate: ModelScore
    champion: ModelScore | None
    champion_frozen_sha256: str | None
    baseline: ModelScore
    differences: tuple[PairedDifference, ...]
    report_url: str


class RuleVerdict(Contract):
    """One rule of the gate. `blocks` says what a failure leads to."""

    rule: str
    value: float | str | None
    threshold: float | str | None
    passed: bool
    blocks: Literal["reject", "hold"]
    why: str


class GateDecision(Contract):
    """Promote, hold or reject: `why` in a sentence, and every rule with its value, threshold and verdict."""

    model: str
    run_id: str
    verdict: Literal["promote", "hold", "reject"]
    first_model: bool
    rules: tuple[RuleVerdict, ...]
    why: str
    archive_sha256: str
    evaluation_url: str
    ledger_hash: str | None = None


class ModelVersion(Contract):
    """A version of the MLflow registered model, with the archive that was judged."""

    model: str
    version: str
    run_id: str
    archive: Archive
    decision_ledger_hash: str
    tags: dict[str, str]


# --- serving ----------------------------------------------------------------------------------------------------------


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
    """A change of what serves. `stable` serves at the end; `previous` served before and stays loaded for a rollback."""

    model: str
    stable: Route
    previous: Route | None
    candidate: Route | None
    traffic_share: float = Field(ge=0, le=1)
    checks: tuple[RolloutCheck, ...]
    verdict: Literal["deployed", "already_serving", "kept_previous", "rolled_back"]
    seconds: float


class CollectResult(Contract):
    """What came from the gateway's log to the lake. `landed_file` holds newly labelled rows for the training table."""

    model: str
    prediction_rows: int
    feedback_rows: int
    labelled_rows: int
    landed_file: str | None


# --- drift and retraining ---------------------------------------------------------------------------------------------


class ColumnDistance(Contract):
    column: str
    distance: float
    method: str


class DriftDecision(Contract):
    """Whether the traffic of a window still looks like the champion's reference, and what follows.

    Attributes:
        verdict: `quiet`; `too_few` rows to judge; `incident` (the data is broken: never a reason to retrain);
            `wait` (drift, but too few new labelled rows to learn from); `retrain`.
        domain_auc: Out-of-fold ROC AUC of a classifier that tells window from reference; 0.5 means it cannot.
        threshold: What `domain_auc` had to exceed: the effect floor or the null quantile, whichever is larger.
        null_auc: What the same AUC exceeds by chance at the spec's false alarm share: from random relabellings of the rows.
        new_rows: Rows that joined the training table after the champion's snapshot.
    """

    model: str
    champion_run_id: str
    window_start: AwareDatetime
    window_end: AwareDatetime
    window_rows: int
    reference_rows: int
    verdict: Literal["quiet", "too_few", "incident", "wait", "retrain"]
    domain_auc: float | None
    null_auc: float | None
    threshold: float | None
    columns: tuple[ColumnDistance, ...]
    new_rows: int
    validation: ValidationReport | None
    why: str
    report_url: str | None
    ledger_hash: str | None = None


class RetrainTicket(Contract):
    """The answer to a retrain request: `granted` with the Airflow run to start, or why not."""

    model: str
    granted: bool
    train_run_id: str | None
    reason: str


class LedgerEntry(Contract):
    """Who decided what, when, from what to what, why. `entry_hash` covers every other field and `previous_hash`."""

    sequence: int
    at: datetime
    model: str
    actor: str
    action: str
    before: str | None
    after: str | None
    why: str
    evidence: dict[str, Any]
    evidence_sha256: str
    previous_hash: str
    entry_hash: str
