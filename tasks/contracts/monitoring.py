"""What is asked and said while a model serves: drift, and requests for a new training."""

from typing import Literal

from pydantic import AwareDatetime, Field, FiniteFloat, model_validator

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.data import ValidationReport
from tasks.contracts.training import TrainingRun
from tasks.spec import PipelineSpec


class DriftRequest(Request):
    """The window is [window_start, window_end) by the time of prediction."""

    spec: PipelineSpec
    window_start: AwareDatetime
    window_end: AwareDatetime

    @model_validator(mode="after")
    def _window_ends_after_its_start(self) -> "DriftRequest":
        if self.window_end <= self.window_start:
            raise ValueError(
                f"the window ends at {self.window_end.isoformat()}, not after its start at "
                f"{self.window_start.isoformat()}"
            )
        return self


class ColumnDistance(Contract):
    column: str
    distance: float
    method: str


class Signal(Contract):
    """One thing that a check noticed.

    Attributes:
        question: Which question it answers: is the window valid, has the input changed, has the target
            changed or the model become worse, does serving prepare rows as the training did.
        reason: What kind of change it is, for programs: `volume_low`, `nulls`, `new_category`, `location`.
        subject: The column, metric or slice it is about.
        level: `note` is reported and acts on nothing (a change below its floor, a column that is left out);
            `suspicious` is not sure yet; `alarm` is; `incident` says that the data is broken, which no
            training answers.
        value, threshold: What was measured and what it had to exceed, both in `unit`; None where there is no
            such number.
        since: When the change began, as far as can be told: the start of a window.
        why: The sentence for people.
    """

    question: Literal["validity", "input", "target", "skew"]
    reason: str
    subject: str
    level: Literal["note", "suspicious", "alarm", "incident"]
    value: float | None = None
    threshold: float | None = None
    unit: str = ""
    since: AwareDatetime | None = None
    why: str


Pair = tuple[FiniteFloat, FiniteFloat]
"""Then, in the reference, and now, in the window."""


class ColumnShares(Contract):
    """How the rows of a column are distributed, then and now: enough for a small drawing, whatever it holds.

    Attributes:
        column: The column; of a text it has a derived number's name, such as `text: words`.
        labels: The ranges of a number, or the values of a category that matter the most.
        shares: Of the rows with a value, those in each of them, in [0, 1].
        places: Where a number's ranges begin and end, where they can be drawn to scale; else empty.
        others: Of a category: the share of all known values that are not among `labels`.
        new: The share with a value that the reference does not have; of a number: outside of its range.
        missing: The share of all rows without a value.
        rows: How many rows there are.
    """

    column: str
    kind: Literal["number", "category"]
    labels: tuple[str, ...] = Field(max_length=21)
    shares: tuple[Pair, ...] = Field(max_length=21)
    places: tuple[FiniteFloat, ...] = Field(default=(), max_length=22)
    others: Pair | None = None
    new: Pair | None = None
    missing: Pair
    rows: tuple[int, int]


class MeasuredWindow(Contract):
    """How good the champion was in a window, by the labels that had come for it.

    Attributes:
        low, high: The 95 % interval of sampling.
        threshold: What was expected at least, or at most where less is better; None where nothing says it.
    """

    start: AwareDatetime
    labelled: int
    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    threshold: FiniteFloat | None = None


class MeasuredWindows(Contract):
    """The metric of a champion over its newest windows, as a check saw it.

    Labels come late, so of one window the newest check counts.
    """

    metric: str
    windows: tuple[MeasuredWindow, ...] = Field(max_length=30)


State = Literal["quiet", "suspicious", "alarm", "retraining", "probation"]

Verdict = Literal[
    "quiet",
    "suspicious",
    "too_few",
    "cannot_tell",
    "incident",
    "wait",
    "suggest",
    "ask",
    "retrain",
    "stopped",
]
Follows = Literal["nothing", "suggest", "ask", "rebuild", "retrain", "page"]


class DriftDecision(Contract):
    """Whether the traffic of a window still looks like the champion's reference, and what follows.

    Attributes:
        signals: Everything that was noticed, the gravest first; empty in entries of an earlier Perennial.
        state: In which state the model's watch is after this check; None in entries of an earlier Perennial.
        page_url: The check's page: evidence over time, columns then and now, what was decided and why.
        verdict: `quiet`; `too_few` rows to judge; `cannot_tell` (a number that the decision rests on is not
            one: the check fails); `incident` (the data is broken: never a reason to retrain); `suspicious`
            (not sure yet, or an alarm that is not over); `wait` (an alarm, but a training would come too
            early: too few new labelled rows, another one trains or has just trained); `suggest` (an alarm,
            and the mode only says what it would do); `ask` (a person); `retrain`; `stopped` (an alarm that
            nothing answers: the budget is spent or the breaker open).
        follows: What the verdict leads to: a training is asked for (`retrain`), a person is asked whether it
            is (`ask`), or for a full rebuild (`rebuild`), a person has to look (`page`); None in entries of
            an earlier Perennial.
        domain_auc: Out-of-fold ROC AUC of a classifier that tells window from reference; 0.5 means it cannot.
        threshold: What `domain_auc` had to exceed: the effect floor or the null quantile, whichever is
            larger.
        null_auc: What the same AUC exceeds by chance at the spec's false alarm share: from random
            relabellings of the rows.
        new_rows: Rows that joined the training table after the champion's snapshot.
    """

    model: str
    champion_run_id: str
    window_start: AwareDatetime
    window_end: AwareDatetime
    window_rows: int
    reference_rows: int
    verdict: Verdict
    domain_auc: float | None
    null_auc: float | None
    threshold: float | None
    columns: tuple[ColumnDistance, ...]
    new_rows: int
    validation: ValidationReport | None
    why: str
    report_url: str | None
    signals: tuple[Signal, ...] = ()
    state: State | None = None
    follows: Follows | None = None
    page_url: str | None = None
    ledger_hash: str | None = None


class CalibrateRequest(Request):
    """Make the reference of the version that `run` made, which serves now."""

    spec: PipelineSpec
    run: TrainingRun


class Calibrated(Contract):
    """A champion's reference.

    Attributes:
        reference_id: Its SHA-256; None where the model's traffic cannot be compared.
        days: Into how many days the rows of its snapshot are divided; 0 where nothing says when they
            happened.
        why: What it is, or why there is none.
    """

    model: str
    run_id: str
    reference_id: str | None
    days: int
    why: str


class Approval(Contract):
    """What a person said where the drift check asked one.

    Attributes:
        approved: Whether a training is wanted.
        by: Who; None where nobody answered in time, which approves nothing.
        why: Their reason; empty where none was given.
    """

    approved: bool
    by: str | None
    at: AwareDatetime
    why: str = ""


class RetrainRequest(Request):
    """Ask for a training. A `decision` that says neither `retrain` nor `ask` is refused; one that says `ask`
    counts with what a person said of it, `approval`.

    `hindrance`: why nobody could start it now, which refuses it.
    """

    spec: PipelineSpec
    decision: DriftDecision | None = None
    approval: Approval | None = None
    reason: str = "asked for by hand"
    hindrance: str | None = None


class RetrainTicket(Contract):
    """The answer to a retrain request: `granted` with the Airflow run to start, or why not."""

    model: str
    granted: bool
    train_run_id: str | None
    reason: str
