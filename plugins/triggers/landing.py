"""Watch a landing folder and tell Airflow of files that have landed.

Runs in the triggerer, which imports it as `plugins.triggers.landing`. What it has told of it remembers only
in memory: ingest moves each file away when it is done with it, so a triggerer that starts anew tells once of
every file that still lies there, and so of those that landed while it was down.

It watches buckets too. The triggers for a bucket that Airflow's Google provider has do not fit: they end with
the first object that they see or the first error that they meet, and an asset cannot be watched by them. The
one that does fit, for a bucket that announces its objects by Pub/Sub, is used (`plugins.schedules`).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from plugins.runners.connections import reach_store
from tasks.data.landing_names import is_landed
from tasks.errors import PerennialError
from tasks.stores.faults import explain
from tasks.stores.files import State, at, entries, is_being_written

NAMES_IN_AN_EVENT = 100

Seen = dict[str, State]


class LandingTrigger(BaseEventTrigger):
    """Fires with the names of files that are new in a folder and no longer growing.

    Args:
        folder: A path or an URL of the store; it may be missing until the first file lands. Names that start
            with `.` or end as unfinished files do are ignored: producers write those and rename them.
        poll_seconds: Between two looks; a file counts as whole when two looks in a row found it the same, and
            no process of this machine has it open for writing.
    """

    def __init__(self, folder: str, poll_seconds: float = 1.0) -> None:
        super().__init__()
        self.folder = folder
        self.poll_seconds = poll_seconds
        self.unreadable = False
        self.reached = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow makes this trigger again from."""
        return "plugins.triggers.landing.LandingTrigger", {
            "folder": self.folder,
            "poll_seconds": self.poll_seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event a set of new files, for ever."""
        before: Seen = {}
        told: Seen = {}
        while True:
            now = await asyncio.to_thread(self.look, before)
            resting = {name: state for name, state in now.items() if before.get(name) == state}
            whole = await asyncio.to_thread(self.closed, resting, told)
            if new := sorted(name for name, state in whole.items() if told.get(name) != state):
                yield TriggerEvent(
                    {"folder": self.folder, "file_count": len(new), "files": new[:NAMES_IN_AN_EVENT]}
                )
            told, before = whole, now
            await asyncio.sleep(self.poll_seconds)

    def look(self, last: Seen) -> Seen:
        """The files of the folder now; `last` when the folder
        cannot be read, which is logged once and tried again.
        """
        try:
            self.reach()
            found = entries(at(self.folder))
        except Exception as error:
            reason = explain(error) or error
            if not isinstance(reason, OSError | PerennialError):
                raise
            if not self.unreadable:
                self.log.warning("%s cannot be read; it is tried again until it can: %s", self.folder, reason)
            self.unreadable, self.reached = True, False
            return last
        self.unreadable = False
        return {entry.name: entry.state for entry in found if entry.is_file and is_landed(entry.name)}

    def closed(self, resting: Seen, told: Seen) -> Seen:
        """The files that nobody writes to any more; those that were told of are not looked at again."""
        folder = at(self.folder)
        return {
            name: state
            for name, state in resting.items()
            if told.get(name) == state or not is_being_written(folder / name)
        }

    def reach(self) -> None:
        """Go by Airflow's connection of the store, once; again after a fault, which it may have caused."""
        if not self.reached:
            reach_store()
            self.reached = True
