"""What is asked and said while a model serves: drift, and requests for a new training."""

from typing import Literal

from pydantic import AwareDatetime, model_validator

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.data import ValidationReport
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


class DriftDecision(Contract):
    """Whether the traffic of a window still looks like the champion's reference, and what follows.

    Attributes:
        verdict: `quiet`; `too_few` rows to judge; `cannot_tell` (a number that the decision rests on is not
            one: the check fails); `incident` (the data is broken: never a reason to retrain); `wait` (drift,
            but too few new labelled rows to learn from); `retrain`.
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
    verdict: Literal["quiet", "too_few", "cannot_tell", "incident", "wait", "retrain"]
    domain_auc: float | None
    null_auc: float | None
    threshold: float | None
    columns: tuple[ColumnDistance, ...]
    new_rows: int
    validation: ValidationReport | None
    why: str
    report_url: str | None
    ledger_hash: str | None = None


class RetrainRequest(Request):
    """Ask for a training. A `decision` that does not say `retrain` is refused.

    `hindrance`: why nobody could start it now, which refuses it.
    """

    spec: PipelineSpec
    decision: DriftDecision | None = None
    reason: str = "asked for by hand"
    hindrance: str | None = None


class RetrainTicket(Contract):
    """The answer to a retrain request: `granted` with the Airflow run to start, or why not."""

    model: str
    granted: bool
    train_run_id: str | None
    reason: str
