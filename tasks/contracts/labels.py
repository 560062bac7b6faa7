"""What is asked and said of the labels of new batches, before anything is trained on them."""

from typing import Literal

from pydantic import AwareDatetime, Field, field_validator

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.pinned import PinnedTable
from tasks.spec import Name, PipelineSpec

BatchState = Literal["passed", "cannot_tell", "quarantined", "released", "confirmed"]


class CheckLabelsRequest(Request):
    spec: PipelineSpec
    as_of: AwareDatetime | None = None


class UnusualShare(Contract):
    """The label whose share in a batch is farthest from what the earlier batches lead to expect.

    Attributes:
        low, high: Where the share of one more batch is expected at the level of the check, the tolerance
            included.
        p_value: That an ordinary batch is as far off, for all labels together.
    """

    label: str
    share: float
    low: float
    high: float
    batches: int
    p_value: float


class LabelNoise(Contract):
    """The estimated share of a batch's labels that are wrong.

    Attributes:
        p_value: That a batch with `maximum_noise_share` wrong labels looks as bad.
    """

    share: float
    rows: int
    p_value: float


class Agreement(Contract):
    """How far the champion's answers agree with labels, beyond chance: 1 fully, 0 by chance, below 0 against.

    Attributes:
        method: `roc_auc` (2 AUC - 1) or `kappa`.
        before: What batches agree by on average, on the test part of the champion's snapshot.
        p_value: That it is at least half of `before`.
    """

    champion_run_id: str
    method: Literal["roc_auc", "kappa"]
    batch: float
    before: float
    rows: int
    p_value: float


class Association(Contract):
    """How well a batch's rows tell its own labels, learnt from no other batch: 1 fully, 0 by chance.

    Attributes:
        before: The same of batches before it, each learnt from itself alone, on average.
        batches: How many these are.
        rows: How many of the batch were looked at.
        p_value: That one more sound batch is as low, by how much batches differ.
        p_half: That it is half of `before` or more, by the error of its measurement alone.
    """

    batch: float
    before: float
    batches: int
    rows: int
    p_value: float
    p_half: float


class BatchFindings(Contract):
    """What was measured of one new batch; what could not be measured is None, and `untold` says why.

    Attributes:
        rows: Its labelled rows in the model's query.
        history_rows: Those of the batches before it that were not quarantined.
    """

    batch_id: str
    rows: int
    history_rows: int
    share: UnusualShare | None = None
    noise: LabelNoise | None = None
    agreement: Agreement | None = None
    association: Association | None = None
    untold: tuple[str, ...] = ()


class BatchVerdict(Contract):
    """Whether a batch may be trained on, and why."""

    findings: BatchFindings
    state: Literal["passed", "cannot_tell", "quarantined"]
    why: str


class LabelCheck(Contract):
    """The labels of a model's new batches.

    Attributes:
        tables: The versions of the tables that were looked at: the snapshot sees the same.
        verdicts: Of each batch that had not been judged, in the order of arrival.
    """

    model: str
    table: str
    tables: tuple[PinnedTable, ...]
    verdicts: tuple[BatchVerdict, ...]


class QuarantineRequest(Request):
    spec: PipelineSpec
    check: LabelCheck


class Quarantine(Contract):
    """The batches that no training of the model sees: those of this check, and all."""

    model: str
    new: tuple[str, ...]
    left_out: tuple[str, ...]


class DecideBatchRequest(Request):
    """A person's word on a batch: `release` it to be trained on, or `confirm` that it never is."""

    model: Name
    batch_id: str = Field(min_length=1)
    decision: Literal["release", "confirm"]
    reason: str

    @field_validator("reason")
    @classmethod
    def _is_said(cls, reason: str) -> str:
        if not reason.strip():
            raise ValueError("is blank; the ledger keeps why this was decided: say it")
        return reason


class BatchDecision(Contract):
    model: str
    batch_id: str
    before: BatchState
    after: BatchState
    ledger_hash: str
