"""The folder where a table's files land, and where they go from there.

A file is in one place at a time: in the folder itself until it is settled, then below `.archive` when its
rows were published, or in `.refused`, with the reason in a file beside it. Meanwhile `.staged` holds what
will be published, so that an ingest that was killed is carried on with the same rows. Names that start with a
dot are not ours to take: a producer writes `.name.part` and renames it. On an object store, where a file
appears whole by itself, a move that was killed leaves the file in both places; its plan is staged until the
move is done, so the next ingest knows it for what it is.
"""

import json
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from upath import UPath

from tasks.contracts import FileOutcome
from tasks.settings import settings
from tasks.stores import files

LONGEST_NAME = 240
"""In bytes; file systems hold 255."""


class Plan(BaseModel):
    """What an ingest decided of a batch, and under which name it staged the rows."""

    outcome: FileOutcome
    rows: str


class Landing:
    """The landing folder of a table."""

    def __init__(self, table: str) -> None:
        self.url = files.at(settings().landing, table)

    def files(self) -> list[str]:
        """The names that wait, in their order."""
        waiting = [
            entry for entry in files.entries(self.url) if entry.is_file and not entry.name.startswith(".")
        ]
        return sorted(self._named_in_text(entry.name) for entry in waiting)

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None when it is gone, because another ingest settled it."""
        try:
            return bytes((self.url / name).read_bytes())
        except FileNotFoundError:
            return None

    def waits(self, name: str) -> bool:
        return bool((self.url / name).exists())

    def stage(
        self, batch_id: str, outcome: FileOutcome, accepted: pa.Table, quarantined: pa.Table
    ) -> Plan | None:
        """Keep what will be published of a batch, unless another
        ingest has done so: the first plan counts for all.

        Returns:
            The plan that counts; None when the other has settled the batch.
        """
        plan = Plan(outcome=outcome, rows=uuid4().hex)
        files.make_parent(self._staged(batch_id))
        for kind, rows in (("accepted", accepted), ("quarantined", quarantined)):
            with self._staged(batch_id, plan.rows, kind, "parquet").open("wb") as file:
                pq.write_table(rows, file)
        try:
            files.create_whole(
                self._staged(batch_id, "plan", "json"), plan.model_dump_json(indent=2).encode()
            )
        except FileExistsError:
            for kind in ("accepted", "quarantined"):
                files.remove(self._staged(batch_id, plan.rows, kind, "parquet"))
            return self.plan(batch_id)
        if self.archived(batch_id):
            self.unstage(batch_id)
            return None
        return plan

    def plan(self, batch_id: str) -> Plan | None:
        """What was decided of a batch that is not settled yet."""
        try:
            return Plan.model_validate_json(
                self._staged(batch_id, "plan", "json").read_text(encoding="utf-8")
            )
        except FileNotFoundError:
            return None

    def staged_rows(self, batch_id: str, plan: Plan, kind: str) -> pa.Table:
        """The `accepted` or the `quarantined` rows of a plan.

        Raises:
            FileNotFoundError: Another ingest has settled it meanwhile.
        """
        with self._staged(batch_id, plan.rows, kind, "parquet").open("rb") as file:
            return pq.read_table(file)

    def archived(self, batch_id: str) -> str | None:
        """The name under which a batch was published; None for a new one."""
        names = [entry.name for entry in files.entries(self.url / ".archive" / batch_id)]
        return min(names, default=None)

    def archive(self, name: str, batch_id: str) -> None:
        """Take a published file out of the folder, then forget what was staged of it."""
        self._move(name, self.url / ".archive" / batch_id / name)
        self.unstage(batch_id)

    def unstage(self, batch_id: str) -> None:
        """Forget what was staged of a batch, also by ingests that were killed before they had a plan."""
        folder = self.url / ".staged"
        rest = [entry.name for entry in files.entries(folder) if entry.name.startswith(f"{batch_id}.")]
        for name in [f"{batch_id}.plan.json", *rest] if rest else []:
            files.remove(folder / name)

    def sweep(self) -> None:
        """Forget what is still staged of batches that were
        published: their ingest was killed after its last word.

        While a file of that name waits, it may be the published one, copied to the archive and not deleted
        here yet.
        """
        for batch_id in {entry.name.partition(".")[0] for entry in files.entries(self.url / ".staged")}:
            name = self.archived(batch_id) if batch_id else None
            if name and not self.waits(name):
                self.unstage(batch_id)

    def refuse(self, name: str, reason: dict[str, Any]) -> bool:
        """Take a refused file out of the folder, with the reason
        beside it; False when another ingest had settled it.
        """
        beside = self._beside(name)
        files.write_whole(beside, json.dumps(reason, indent=2).encode())
        moved = self._move(name, self.url / ".refused" / name)
        if not moved and not (self.url / ".refused" / name).exists():
            files.remove(beside)
        return moved

    def _move(self, name: str, target: UPath) -> bool:
        """Move a file; False when another ingest has done so."""
        try:
            files.move(self.url / name, target)
        except FileNotFoundError:
            if self.waits(name):
                raise
            return False
        return True

    def _named_in_text(self, name: str) -> str:
        """Rename a file whose name is not UTF-8: no reason, report or row could tell of it."""
        text = name.encode("utf-8", "replace").decode()
        if text != name:
            self._move(name, self.url / text)
        return text

    def _beside(self, name: str) -> UPath:
        """Where the reason of a refused file lies; a name that leaves no room for the ending is cut."""
        return self.url / ".refused" / f"{name.encode()[:LONGEST_NAME].decode(errors='ignore')}.reason.json"

    def _staged(self, *parts: str) -> UPath:
        return self.url / ".staged" / ".".join(parts)
