"""What is asked and said of scores: of a candidate, the champion and a simple baseline."""

from typing import Literal

from pydantic import Field

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.data import PinnedTable
from tasks.contracts.serving import Champion
from tasks.contracts.training import Archive, TrainingRun
from tasks.spec import PipelineSpec


class EvaluateRequest(Request):
    """`champion`: what the candidate has to beat, as the verb `champion` found it."""

    spec: PipelineSpec
    run: TrainingRun
    archive: Archive
    champion: Champion


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

    Attributes:
        undefined: Why a metric of the task is not among `metrics`, by its name.
    """

    role: Literal["candidate", "champion", "root", "baseline"]
    name: str
    run_id: str | None
    archive_sha256: str | None
    archive_bytes: int | None
    metrics: tuple[Metric, ...]
    slices: tuple[SliceScore, ...]
    latency_p50_seconds: float | None
    latency_p95_seconds: float | None
    undefined: dict[str, str] = Field(default_factory=dict)


class PairedDifference(Contract):
    """Candidate minus champion in the primary metric on the same rows, with a paired 95 % interval.

    Of a metric of which less is better, a difference above 0 is for the worse.

    Attributes:
        slice_value: The value of the data's `slice_by` column; None for all rows.
        p_value: Of the paired test that the two are equally good (McNemar's exact test); None where it does
            not apply: to anything but accuracy.
        p_not_better, p_not_worse: Of the one-sided paired tests that the candidate is no better, and no
            worse, than the champion; None in the records of an earlier Perennial.
    """

    slice_value: str | None
    rows: int
    difference: float
    low: float
    high: float
    p_value: float | None
    p_not_better: float | None = None
    p_not_worse: float | None = None


class AsTrained(Contract):
    """A metric on the validation rows, as the training program measured it of what it saved, and by the
    answers of the archive that would serve; None where those do not define it.
    """

    metric: str
    rows: int
    trained: float
    served: float | None


class EvaluationReport(Contract):
    """Candidate, champion and baseline on one frozen set.

    `frozen_sha256` is the hash of the snapshot's test part.

    Attributes:
        root: What a candidate may not be worse than by more than a margin, where that is not the champion and
            the gate's policy asks for it. `root_difference` is candidate minus root.
        tables, champion_tables: The versions of tables in the candidate's and in the champion's snapshot.
        as_trained: None where the training program reported nothing to hold the archive against.
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
    root: ModelScore | None = None
    root_difference: PairedDifference | None = None
    tables: tuple[PinnedTable, ...] = ()
    champion_tables: tuple[PinnedTable, ...] = ()
    as_trained: AsTrained | None = None
