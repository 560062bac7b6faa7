"""What is asked and said of scores: of a candidate, the champion and a simple baseline."""

from typing import Any, Literal

from pydantic import Field

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.data import NearDuplicates, SnapshotPart
from tasks.contracts.pinned import PinnedTable
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
        peak_memory_bytes: The most physical memory that the process had which answered; None where it was not
            measured.
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
    peak_memory_bytes: int | None = None


class PairedDifference(Contract):
    """Candidate minus champion in the primary metric on the same rows, with a paired 95 % interval.

    Of a metric of which less is better, a difference above 0 is for the worse.

    Attributes:
        slice_value: The value of one of the data's `slice_by` columns; None for all rows.
        slice_column: That column; None for all rows, and in the records of an earlier Perennial, which knew
            one such column.
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
    slice_column: str | None = None


class Health(Contract):
    """Whether a model's answers to the frozen rows are numbers that mean something.

    Attributes:
        not_finite: Answers with a number that is NaN or infinite.
        not_probabilities: Answers whose `scores` are not in [0, 1], or do not add up to 1.
        constant: What every answer has in common, where that should tell the rows apart; None where it does.
    """

    rows: int
    not_finite: int
    not_probabilities: int
    constant: str | None


class GroupValue(Contract):
    """A metric in one group of the test rows."""

    value: str
    rows: int
    metric: float


class FairnessGap(Contract):
    """The largest difference in `metric` between two groups of `column`, with its 95 % interval.

    Attributes:
        gap, low, high: None where it is not defined.
        undefined: Why.
    """

    column: str
    metric: str
    groups: tuple[GroupValue, ...]
    gap: float | None = None
    low: float | None = None
    high: float | None = None
    undefined: str | None = None


class FailedCase(Contract):
    """A case of a behavioural test that failed: what was asked, what it became, each as JSON, and why."""

    instance: str
    changed: str | None
    why: str


class PassedByChampion(Contract):
    """How the champion fared in the same cases.

    Attributes:
        passed: How many it passed.
        difference, low, high: The candidate's share of passed cases minus its share, with the 95 % interval.
    """

    passed: int
    difference: float
    low: float
    high: float


class BehaviourResult(Contract):
    """What became of one test of behaviour.yaml.

    Attributes:
        cases, passed: How many there were, and how many of them were answered as expected.
        failed: The first of the others.
        low, high: The 95 % interval of the share that passed; None where the file names the cases, so that
            they are no sample of others, and in reports of an earlier Perennial.
        champion: None where the share is no sample's or is large enough, or no champion answered every case.
    """

    name: str
    kind: Literal["minimum_functionality", "invariance", "directional"]
    cases: int
    passed: int
    required_share: float
    failed: tuple[FailedCase, ...]
    low: float | None = None
    high: float | None = None
    champion: PassedByChampion | None = None


class SetScore(Contract):
    """The models' primary metric on one set of rows; None where the rows do not define it.

    Attributes:
        to_champion, to_root: Candidate minus the other model; `to_root` is None where the champion is the
            root.
        at_random: The champion's metric if the same labels had been dealt out to the rows at random.
    """

    rows: int
    candidate: Metric | None
    champion: Metric | None
    to_champion: PairedDifference | None
    to_root: PairedDifference | None
    at_random: float | None


class Anchor(Contract):
    """Trusted rows that every candidate is judged on, and that no later batch can change.

    Attributes:
        part: The anchor from now on, if the candidate serves.
        base_sha256: Of the anchor that it extends; None where it begins with this candidate.
        added_rows: Rows that had become old enough.
        score: None where it begins, or cannot be scored.
        unusable: Why it cannot be scored; a sentence.
    """

    part: SnapshotPart
    base_sha256: str | None = None
    added_rows: int = 0
    score: SetScore | None = None
    unusable: str | None = None


class FrozenSets(Contract):
    """The anchor, and how the test part is divided by what has confirmed its rows.

    A row of the test part counts as confirmed that the champion's snapshot has too, that is old enough, or
    that a person called right; without a champion every row. The others are no test rows.

    Attributes:
        unconfirmed_rows: Rows of the test part that nothing has confirmed.
        newest: On the rows that the champion's snapshot has not; None without a champion.
        suspect: On those of them that no person called right.
        world_sha256: Of the test part whose rows a person called right since the champion was promoted: the
            anchor and the root begin anew.
    """

    anchor: Anchor
    unconfirmed_rows: int = 0
    newest: SetScore | None = None
    suspect: SetScore | None = None
    world_sha256: str | None = None


class AsTrained(Contract):
    """A metric on the validation rows, as the training program measured it of what it saved, and by the
    answers of the archive that would serve; None where those do not define it.
    """

    metric: str
    rows: int
    trained: float
    served: float | None


class PreparationDifference(Contract):
    """Where a row is prepared otherwise when it serves than in training.

    Attributes:
        row: The row's key, or the id of its prediction.
        input: The network's input and the place in it, such as `numbers[2]`; None where a side refused the
            row.
        trained, served: What each side has there.
    """

    row: str
    input: str | None
    trained: str
    served: str


class Preparation(Contract):
    """Rows as the training's own code prepares them, against what the archive's handler gives to its network.

    Attributes:
        rows: How many were compared, bit by bit.
        first: The first that differs.
        unknown: Why nothing could be compared; None where it could.
    """

    rows: int
    differing: int
    first: PreparationDifference | None
    unknown: str | None


class ReplayedAnswer(Contract):
    """What was answered to a logged request, and what the version's archive answers to it now.

    Attributes:
        refused: Why it is refused now; None where it is answered.
    """

    prediction_id: str
    prediction: Any
    score: float | None
    prediction_now: Any
    score_now: float | None
    refused: str | None = None


class Skew(Contract):
    """Logged requests replayed: what the training's code and the archive's handler make of them.

    Attributes:
        run_id: Of the version that answered them.
        preparation: None where the training program does not say how it prepares rows.
    """

    run_id: str
    preparation: Preparation | None
    answers: tuple[ReplayedAnswer, ...]


class EvaluationReport(Contract):
    """Candidate, champion and baseline on one frozen set.

    `frozen_sha256` is the hash of the snapshot's test part; `rows` of it are confirmed, and what is not of a
    set in `sets` is measured on those.

    Attributes:
        root: What a candidate may not be worse than by more than a margin, where that is not the champion and
            the gate's policy asks for it. `root_difference` is candidate minus root.
        behaviour: Of the candidate, each test of the model's behaviour.yaml.
        fairness: Of the candidate, each gap that `gate.fairness` limits.
        health: Of the candidate; None in the records of an earlier Perennial.
        baseline_difference: Candidate minus baseline; None where the metric is not defined for both, and in
            the records of an earlier Perennial.
        tables, champion_tables: The versions of tables in the candidate's and in the champion's snapshot.
        near_duplicates: What the candidate's snapshot has of them.
        sets: None in the records of an earlier Perennial, which judged by the whole test part.
        as_trained: None where the training program reported nothing to hold the archive against.
        preparation: Of validation rows; None where the training program does not say how it prepares rows.
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
    near_duplicates: NearDuplicates | None = None
    behaviour: tuple[BehaviourResult, ...] = ()
    health: Health | None = None
    baseline_difference: PairedDifference | None = None
    fairness: tuple[FairnessGap, ...] = ()
    sets: FrozenSets | None = None
    as_trained: AsTrained | None = None
    preparation: Preparation | None = None
