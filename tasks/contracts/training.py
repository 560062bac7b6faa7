"""What is said of a candidate: its training, its archive, its scores, and the verdict on it."""

from typing import Any, Literal

from tasks.contracts.contract import Contract
from tasks.contracts.data import DataSnapshot


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
        example_prediction: What its handler answers to the specification's `input_example`; the smoke test of
            a deployment expects the same.
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
    """One model on the frozen rows.

    The latency is of single requests through the archive's handler, in this process.
    """

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
        p_value: Of the paired test that the two are equally good (McNemar's exact test); None where it does
            not apply.
    """

    slice_value: str | None
    rows: int
    difference: float
    low: float
    high: float
    p_value: float | None


class EvaluationReport(Contract):
    """Candidate, champion and baseline on one frozen set.

    `frozen_sha256` is the hash of the snapshot's test part.
    """

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
