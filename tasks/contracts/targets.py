"""What is kept of a window's predictions and labels, and of what the champion was promoted with."""

from typing import Literal

from pydantic import AwareDatetime, Field

from tasks.contracts.contract import Contract
from tasks.contracts.evaluation import FairnessGap, Metric, SliceScore
from tasks.spec import Task


class Sums(Contract):
    """Of numbers that are finite: how many, their sum and the sum of their squares."""

    rows: int = 0
    total: float = 0.0
    squares: float = 0.0


class Tally(Contract):
    """What is counted of some rows: of all of a window, or of those of one group.

    Labels and predictions of classes are keyed by their text (`label_text`).

    Attributes:
        column, value: The group: the rows where the column has the value; empty for all rows.
        predicted: How often each class was answered.
        labelled: Rows whose label has come.
        labels: How often each class is the label.
        answered: How often each class was answered, of the labelled rows.
        right: How often the answer was right, by the label.
        sums: Of numbers, by name: `score`, `confidence`, `label`, `squared_error`, ...; see
            `tasks.monitoring.target.counting`.
    """

    column: str = ""
    value: str = ""
    rows: int
    predicted: dict[str, int] = Field(default_factory=dict)
    labelled: int = 0
    labels: dict[str, int] = Field(default_factory=dict)
    answered: dict[str, int] = Field(default_factory=dict)
    right: dict[str, int] = Field(default_factory=dict)
    sums: dict[str, Sums] = Field(default_factory=dict)


class ScoreBin(Contract):
    """Rows of a binary model whose score is in one of the bins of equal width between 0 and 1.

    Attributes:
        score_sum: Of all `rows`.
        labelled, positive: Rows whose label has come, and those of them that are of the positive class.
        labelled_score_sum: Of the labelled rows.
    """

    number: int
    rows: int
    score_sum: float
    labelled: int = 0
    positive: int = 0
    labelled_score_sum: float = 0.0


class TargetSummary(Contract):
    """The predictions of one model in [window_start, window_end) by prediction time, and their labels so far.

    Attributes:
        run_id: The training run of the version that answered.
        task: The model's, when the summary was made.
        positive: The text of the positive class of a binary model; None of others.
        not_numbers: Answers whose score, or of a regression whose prediction, is NaN or infinite.
        without_score: Answers that have no score.
        groups: By each column that the model's rows are divided by, largest first.
        labels_until: The time of ingestion of the newest label that was looked at; None where there was none.
    """

    model: str
    run_id: str
    task: Task
    positive: str | None
    window_start: AwareDatetime
    window_end: AwareDatetime
    every: Tally
    bins: tuple[ScoreBin, ...] = ()
    groups: tuple[Tally, ...] = ()
    not_numbers: int = 0
    without_score: int = 0
    labels_until: AwareDatetime | None = None


class LabelDay(Contract):
    """Labels of the validation part of one stretch of time, as long as a window.

    Attributes:
        start: None where the rows have no time: all of them are in one.
        labels: How often each class is the label, by its text; empty for a regression.
        numbers: Of a regression's labels.
    """

    start: AwareDatetime | None
    rows: int
    labels: dict[str, int] = Field(default_factory=dict)
    numbers: Sums = Sums()


class TargetReference(Contract):
    """What a champion is held against.

    Attributes:
        source: What `metrics` are of: the test rows of its promotion; `none` where the ledger does not have
            it, so that its first windows have to do.
        metrics: By name, each with its 95 % interval.
        slices, fairness: Of the same rows.
        label_days: Labels of the validation part of its snapshot.
    """

    model: str
    run_id: str
    task: Task
    primary_metric: str
    source: Literal["promotion", "none"]
    rows: int = 0
    metrics: dict[str, Metric] = Field(default_factory=dict)
    slices: tuple[SliceScore, ...] = ()
    fairness: tuple[FairnessGap, ...] = ()
    label_days: tuple[LabelDay, ...] = ()
