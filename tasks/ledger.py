"""The ledger: every automatic decision with its evidence, in an append-only, hash-chained table.

An entry's hash covers its fields and the hash of the entry before, so that a changed or missing entry breaks the chain. Two
writers cannot fork it: `previous_hash` is unique, and the one who comes second reads again and tries once more.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel

from tasks.contracts import LedgerEntry
from tasks.database import engine, metadata

GENESIS = "0" * 64

entries = sa.Table(
    "ledger",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.String(63), nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("evidence_sha256", sa.String(64), nullable=False),
    sa.Column("previous_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("entry_hash", sa.String(64), nullable=False, unique=True),
)


def record(
    *,
    model: str,
    actor: str,
    action: str,
    before: str | None,
    after: str | None,
    why: str,
    evidence: BaseModel | dict[str, Any],
) -> LedgerEntry:
    """Append one decision, durably, before it takes effect.

    The same decision by the same actor on the same evidence is written once, however often the step is tried again.
    """
    content = evidence.model_dump(mode="json") if isinstance(evidence, BaseModel) else evidence
    evidence_sha256 = _sha256(content)
    while True:
        with engine().begin() as connection:
            again = connection.execute(
                entries.select().where(
                    entries.c.model == model,
                    entries.c.actor == actor,
                    entries.c.action == action,
                    entries.c.evidence_sha256 == evidence_sha256,
                )
            ).first()
            if again is not None:
                return _entry(again)
            last = connection.execute(entries.select().order_by(entries.c.sequence.desc()).limit(1)).first()
            fields = {
                "sequence": last.sequence + 1 if last else 1,
                "at": datetime.now(UTC).isoformat(),
                "model": model,
                "actor": actor,
                "action": action,
                "before": before,
                "after": after,
                "why": why,
                "evidence": content,
                "evidence_sha256": evidence_sha256,
                "previous_hash": last.entry_hash if last else GENESIS,
            }
            entry = {**fields, "entry_hash": _sha256(fields)}
            try:
                connection.execute(entries.insert().values({**entry, "evidence": json.dumps(content, sort_keys=True)}))
            except sa.exc.IntegrityError:
                connection.rollback()
                continue
        return LedgerEntry.model_validate(entry)


def history(model: str | None = None) -> list[LedgerEntry]:
    """Every entry, oldest first; of one model where it is named."""
    query = entries.select().order_by(entries.c.sequence)
    if model:
        query = query.where(entries.c.model == model)
    with engine().connect() as connection:
        return [_entry(row) for row in connection.execute(query)]


def broken_entries() -> list[int]:
    """The sequence numbers whose hash or link is wrong; empty for a ledger that nobody touched."""
    broken, previous = [], GENESIS
    for number, entry in enumerate(history(), start=1):
        fields = entry.model_dump(mode="json", exclude={"entry_hash", "contract_version", "at"}) | {"at": entry.at.isoformat()}
        linked = entry.previous_hash == previous and entry.sequence == number
        if not linked or _sha256(fields) != entry.entry_hash or _sha256(entry.evidence) != entry.evidence_sha256:
            broken.append(entry.sequence)
        previous = entry.entry_hash
    return broken


def _entry(row: sa.Row[Any]) -> LedgerEntry:
    return LedgerEntry.model_validate({**row._asdict(), "evidence": json.loads(row.evidence)})


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
