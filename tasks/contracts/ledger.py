"""An entry of the ledger, and what shows that nobody changed one."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime

from tasks.contracts.contract import Contract


class Action(StrEnum):
    """What an entry of the ledger decides; `after` says how. `DONE` decides nothing: it says that what the
    entry which it names decided has taken effect.
    """

    INGEST = "ingest"
    GATE = "gate"
    LABEL_INCIDENT = "label_incident"
    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    CHAMPION = "champion"
    WITHDRAW = "withdraw"
    RELEASE = "release"
    AB = "ab"
    ENVIRONMENT = "environment"
    IMAGE = "image"
    CLOUD_RUN = "cloud_run"
    DRIFT = "drift"
    RETRAIN = "retrain"
    EFFECT = "effect"
    BREAKER = "breaker"
    REPRODUCE = "reproduce"
    BATCH = "batch"
    DOOR = "door"
    RECALL = "recall"
    RECONCILE = "reconcile"
    SILENCE = "silence"
    TOKEN = "token"  # noqa: S105 - what is decided about, not one
    DONE = "done"


class LedgerEntry(Contract):
    """Who decided what, when, from what to what, why.

    Attributes:
        model: Whom it is about; the table, where files were ingested; `token:<name>`, where a token was made.
        entry_hash: Covers every other field and `previous_hash`.
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


class LedgerHead(Contract):
    """The ledger's newest entry at some time, as it is kept outside the database.

    Attributes:
        public_key: Of the key that signed, Ed25519, in hexadecimal digits; None where nobody did.
        signature: Over the other fields but `public_key`, in hexadecimal digits.
    """

    sequence: int
    entry_hash: str
    at: AwareDatetime
    public_key: str | None = None
    signature: str | None = None


class Finding(Contract):
    """Something that is wrong with the ledger.

    Attributes:
        kind: `entry` (changed, wrongly linked or missing), `cut` (a head names an entry after the last one),
            `rewritten` (a head names another entry in a place), `head` (a head is missing, or was not signed
            by this installation's key), `uncovered` (entries after the newest head), `unchecked` (what
            could not be looked at, because MLflow does not answer or the key is not known here).
        sequence: Of the entry; None where none is meant.
        why: A sentence: what was found, where, and what to do.
    """

    kind: Literal["entry", "cut", "rewritten", "head", "uncovered", "unchecked"]
    sequence: int | None
    why: str
