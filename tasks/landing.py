"""The folder where a table's files land, and where they go from there.

A file is in one place at a time: in the folder itself until it is settled, then below `.archive` when its rows were published,
or in `.refused`, with the reason in a file beside it. Meanwhile `.staged` holds what will be published, so that an ingest that
was killed is carried on with the same rows. Names that start with a dot are not ours to take: a producer writes `.name.part`
and renames it.
"""

import contextlib
import json
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from tasks.contracts import FileOutcome
from tasks.settings import settings
from tasks.store import at

LONGEST_NAME = 240
"""In bytes; file systems hold 255."""


class Landing:
    """The landing folder of a table."""

    def __init__(self, table: str) -> None:
        self.url = at(settings().landing, table)

    def files(self) -> list[str]:
        """The names that wait, in their order."""
        if not self.url.exists():
            return []
        waiting = [path for path in self.url.iterdir() if not path.name.startswith(".") and path.is_file()]
        return sorted(self._named_in_text(path.name) for path in waiting)

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None when it is gone, because another ingest settled it."""
        try:
            return bytes((self.url / name).read_bytes())
        except FileNotFoundError:
            return None

    def waits(self, name: str) -> bool:
        return bool((self.url / name).exists())

    def stage(self, plan: FileOutcome, accepted: pa.Table, quarantined: pa.Table) -> None:
        """Keep what will be published of a batch. The plan is written last: where it is, the rows are whole."""
        folder = self._staged(plan.batch_id)
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("accepted", accepted), ("quarantined", quarantined)):
            part = folder / f".{uuid4().hex}.part"
            with part.open("wb") as file:
                pq.write_table(rows, file)
            part.rename(folder / f"{name}.parquet")
        _write_whole(folder / "plan.json", plan.model_dump_json(indent=2))

    def plan(self, batch_id: str) -> FileOutcome | None:
        """What was decided of a batch that is not settled yet."""
        try:
            return FileOutcome.model_validate_json((self._staged(batch_id) / "plan.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def staged_rows(self, batch_id: str, name: str) -> pa.Table:
        """The `accepted` or the `quarantined` rows of a batch.

        Raises:
            FileNotFoundError: Another ingest has settled it meanwhile.
        """
        with (self._staged(batch_id) / f"{name}.parquet").open("rb") as file:
            return pq.read_table(file)

    def archived(self, batch_id: str) -> str | None:
        """The name under which a batch was published; None for a new one."""
        found = self.url / ".archive" / batch_id
        names = sorted(path.name for path in found.iterdir()) if found.exists() else []
        return names[0] if names else None

    def archive(self, name: str, batch_id: str) -> None:
        """Take a published file out of the folder, then forget what was staged of it."""
        self._move(name, self.url / ".archive" / batch_id / name)
        self.unstage(batch_id)

    def unstage(self, batch_id: str) -> None:
        staged = self._staged(batch_id)
        with contextlib.suppress(FileNotFoundError):
            staged.fs.rm(staged.path, recursive=True)

    def refuse(self, name: str, reason: dict[str, Any]) -> bool:
        """Take a refused file out of the folder, with the reason beside it; False when another ingest had settled it."""
        beside = self._beside(name)
        _write_whole(beside, json.dumps(reason, indent=2))
        moved = self._move(name, self.url / ".refused" / name)
        if not moved and not (self.url / ".refused" / name).exists():
            beside.unlink()
        return moved

    def _move(self, name: str, target: UPath) -> bool:
        """Move a file; False when another ingest has done so."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            (self.url / name).rename(target)
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

    def _staged(self, batch_id: str | None) -> UPath:
        return self.url / ".staged" / str(batch_id)


def _write_whole(path: UPath, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{uuid4().hex}.part"
    part.write_text(text, encoding="utf-8")
    part.rename(path)
