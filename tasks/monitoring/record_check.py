"""Write what a drift check decided to the ledger, once, however often the step is tried again.

What a check goes by is the same again but for one thing, the time since the newest grant. So a try that comes
after one that was killed behind its entry finds that entry, and what it decided holds: with a pause that ends
between the two there would be two verdicts on one window.
"""

from datetime import UTC, datetime
from typing import Any, Unpack

import sqlalchemy as sa

from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries
from tasks.monitoring.memory import CHECKS_WITHIN

FOUND = ("findings", "check", "rules", "reference", "windows")
"""What a check goes by, beside the memory; the rest of the evidence follows from it."""


def record_check(**decision: Unpack[entries.Decision]) -> LedgerEntry:
    """The entry of this check, or that of a try before which went by the same.

    Raises:
        LedgerBroken: Nothing can be recorded, because the ledger's end was altered.
    """

    def once(connection: sa.Connection) -> LedgerEntry:
        return _of_try_before(connection, decision) or entries.append(connection, **decision)

    return entries.in_turn(once)


def _of_try_before(connection: sa.Connection, decision: entries.Decision) -> LedgerEntry | None:
    """The newest check of this actor, where it went by the same; another one since asks anew."""
    since = datetime.now(UTC) - CHECKS_WITHIN
    checks = entries.newest_first(connection, decision["model"], Action.DRIFT, since=since)
    mine = next((each for each in checks if each.actor == decision["actor"]), None)
    if mine is None or mine.before != decision["before"]:
        return None
    return mine if gone_by(mine.evidence) == gone_by(entries.plain(decision["evidence"])) else None


def gone_by(evidence: dict[str, Any]) -> dict[str, Any]:
    """What of a check's evidence does not age."""
    known = evidence.get("memory", {})
    memory = {name: value for name, value in known.items() if name != "seconds_since_grant"}
    return {name: evidence.get(name) for name in FOUND} | {"memory": memory}
