"""An entry of the ledger."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from tasks.contracts.contract import Contract


class Action(StrEnum):
    """What an entry of the ledger decides; `after` says how."""

    GATE = "gate"
    LABEL_INCIDENT = "label_incident"
    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    CHAMPION = "champion"
    WITHDRAW = "withdraw"
    DRIFT = "drift"
    RETRAIN = "retrain"
    REPRODUCE = "reproduce"
    RECALL = "recall"


class LedgerEntry(Contract):
    """Who decided what, when, from what to what, why.

    `entry_hash` covers every other field and `previous_hash`.
    """

    sequence: int
    at: datetime
    model: str
    actor: str
    action: Action
    before: str | None
    after: str | None
    why: str
    evidence: dict[str, Any]
    evidence_sha256: str
    previous_hash: str
    entry_hash: str
