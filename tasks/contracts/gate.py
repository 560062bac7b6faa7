"""What is asked of the gate, and its decision."""

from typing import Literal

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.evaluation import EvaluationReport
from tasks.contracts.training import Archive, TrainingRun
from tasks.spec import PipelineSpec


class GateRequest(Request):
    spec: PipelineSpec
    run: TrainingRun
    archive: Archive
    evaluation: EvaluationReport


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
