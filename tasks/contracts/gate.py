"""What is asked of the gate, and its decision."""

from typing import Literal

from pydantic import AwareDatetime

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.data import SnapshotPart
from tasks.contracts.evaluation import EvaluationReport
from tasks.contracts.training import Archive, StartedBy, TrainingRun
from tasks.spec import PipelineSpec


class GateRequest(Request):
    """Judge one candidate. `started_by`: what started its training; None where that is not known."""

    spec: PipelineSpec
    run: TrainingRun
    archive: Archive
    evaluation: EvaluationReport
    started_by: StartedBy | None = None


class Look(Contract):
    """One comparison with the champion, and what it costs of the declared rate of false promotions.

    Attributes:
        rate: The probability of a false promotion in a year that was declared.
        available: What of it could have been spent.
        alpha: What this comparison spends: the level that the test of "better than the champion" is held to.
    """

    at: AwareDatetime
    rate: float
    available: float
    alpha: float


class Circumstances(Contract):
    """What the ledger says beside the evaluation.

    Attributes:
        drift: The hash of the entry that granted this training, where the drift check had asked for it.
        drifted: The hash of the newest entry in which the drift check found that the inputs are others than
            the champion knows.
        incident: The number of the entry in which the gate found a label incident that nobody has answered.
    """

    drift: str | None = None
    drifted: str | None = None
    incident: int | None = None


class RuleVerdict(Contract):
    """One rule of the gate. `blocks` says what a failure leads to."""

    rule: str
    value: float | str | None
    threshold: float | str | None
    passed: bool
    blocks: Literal["reject", "hold"]
    why: str


class GateDecision(Contract):
    """Promote, hold or reject: `why` in a sentence, and every rule with its value, threshold and verdict.

    Attributes:
        look: What the comparison with the champion cost; None of a first model.
        root_run_id: The MLflow run of the root, if this candidate serves; None where it is not promoted, and
            in the records of an earlier Perennial.
        anchor: The anchor, if this candidate serves; None likewise.
    """

    model: str
    run_id: str
    verdict: Literal["promote", "hold", "reject"]
    first_model: bool
    rules: tuple[RuleVerdict, ...]
    why: str
    archive_sha256: str
    evaluation_url: str
    look: Look | None = None
    root_run_id: str | None = None
    anchor: SnapshotPart | None = None
    ledger_hash: str | None = None
