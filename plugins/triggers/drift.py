"""Wait in the triggerer for a verdict of a model's drift check.

Everything that it has to know is in its serialised arguments, also when it gives up: a triggerer that starts
anew goes on where the one before was.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from sqlalchemy.exc import DBAPIError

from tasks.contracts import Action
from tasks.errors import PerennialError
from tasks.ledger.awaited import first_since


class DriftTrigger(BaseTrigger):
    """Fires once: with the entry of the verdict, or, where none has come by the deadline, without one.

    Args:
        model: Whose checks count.
        verdicts: Those that are waited for; empty for any.
        since: A time (ISO 8601, with its zone), or the number of the ledger's entry after which one counts.
        deadline: When to give up (ISO 8601, with its zone).
        poll_seconds: Between two looks into the ledger.
    """

    def __init__(
        self, model: str, verdicts: list[str], since: str | int, deadline: str, poll_seconds: float
    ) -> None:
        super().__init__()
        self.model = model
        self.verdicts = verdicts
        self.since = since
        self.deadline = deadline
        self.poll_seconds = poll_seconds
        self._unreadable = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow makes this trigger again from."""
        names = ("model", "verdicts", "since", "deadline", "poll_seconds")
        return "plugins.triggers.drift.DriftTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is such a verdict, or the time is over; at least once."""
        deadline = datetime.fromisoformat(self.deadline)
        while True:
            entry_hash = await asyncio.to_thread(self._look)
            left = (deadline - datetime.now(UTC)).total_seconds()
            if entry_hash or left <= 0:
                yield TriggerEvent({"entry_hash": entry_hash, "since": self.since})
                return
            await asyncio.sleep(min(self.poll_seconds, left))

    def _look(self) -> str | None:
        """The entry's hash; a ledger that cannot be read is told of once and tried again."""
        since = self.since if isinstance(self.since, int) else datetime.fromisoformat(self.since)
        try:
            found = first_since(self.model, Action.DRIFT, self.verdicts, since)
        except (DBAPIError, PerennialError) as error:
            if not self._unreadable:
                self.log.warning("The ledger cannot be read; it is tried again until it can: %s", error)
            self._unreadable = True
            return None
        self._unreadable = False
        return found.entry_hash if found else None
