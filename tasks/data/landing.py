"""The folder where a table's files land, and where they go from there.

A file is in one place at a time: in the folder itself until it is settled, then below `.archive` when its
rows were published, or in `.refused`, with the reason in a file beside it. No file takes the place of another
there, and one that has changed since it was read stays where it is. Meanwhile `.staged` holds what will be
published, so that an ingest that was killed is carried on with the same rows. Names that start with a dot, or
end as unfinished files do, are not ours to take: a producer writes `.name.part` and renames it. On an object
store, where a file appears whole by itself, a move that was killed leaves the file in both places; its plan
is staged until the move is done, so the next ingest knows it for what it is.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from pydantic import BaseModel
from upath import UPath

from tasks.contracts import FileOutcome
from tasks.data.landing_names import LONGEST_NAME, is_landed, with_number
from tasks.data.staging import Kind, Staging
from tasks.settings import settings
from tasks.stores import files
from tasks.stores.files import Entry, State
from tasks.stores.lake_rows import Stream

REST_SECONDS = 1.0
"""How long a local file has to stay as it is before it is read."""


class Plan(BaseModel):
    """What an ingest decided of a batch, and under which name it staged the rows."""

    outcome: FileOutcome
    rows: str


class Arrival(NamedTuple):
    """A file as it was when it was read. `sha256` is of its bytes; None where they were not all read."""

    name: str
    state: State
    sha256: str | None = None

    @property
    def identity(self) -> str:
        """The same for the same file; never that of another one."""
        return self.sha256 or hashlib.sha256(repr((self.name, self.state)).encode()).hexdigest()


class Landing:
    """The landing folder of a table."""

    def __init__(self, table: str) -> None:
        self.url = files.at(settings().landing, table)

    def files(self) -> list[str]:
        """The names that wait, in their order."""
        waiting = [entry for entry in files.entries(self.url) if entry.is_file and is_landed(entry.name)]
        return sorted(self._named_in_text(entry) for entry in waiting)

    def at_rest(self, names: Sequence[str]) -> list[str]:
        """Those of the names whose writers have finished, as far as can be seen: the others wait.

        A local file has to be closed, and to stay as it is for a moment.
        """
        before = {name: self.state(name) for name in names}
        if files.is_local(self.url) and any(_is_young(state) for state in before.values()):
            time.sleep(REST_SECONDS)
        return [name for name in names if self._rests(name, before[name])]

    def state(self, name: str) -> State | None:
        """The state of a file; None when it is gone, because another ingest settled it."""
        return files.state_of(self.url / name)

    def waits(self, name: str) -> bool:
        return self.state(name) is not None

    def staging(self, batch_id: str) -> Staging:
        """Where rows are written that will be published, should the batch pass."""
        return Staging(self.url / ".staged", batch_id)

    def stage(self, batch_id: str, outcome: FileOutcome, staging: Staging) -> Plan | None:
        """Make what was written the plan of a batch, unless another
        ingest has made its own: the first plan counts for all.

        Returns:
            The plan that counts; None when the other has settled the batch.
        """
        plan = Plan(outcome=outcome, rows=staging.rows)
        staging.close()
        try:
            files.create_whole(self._plan_of(batch_id), plan.model_dump_json(indent=2).encode())
        except FileExistsError:
            staging.discard()
            return self.plan(batch_id)
        if self.find_archived(batch_id):
            self.unstage(batch_id)
            return None
        return plan

    def plan(self, batch_id: str) -> Plan | None:
        """What was decided of a batch that is not settled yet."""
        try:
            return Plan.model_validate_json(self._plan_of(batch_id).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def staged_rows(self, batch_id: str, plan: Plan, kind: Kind) -> Stream:
        """The `accepted` or the `quarantined` rows of a plan.

        Raises:
            FileNotFoundError: Another ingest has settled it meanwhile.
        """
        return Staging(self.url / ".staged", batch_id, plan.rows).read(kind)

    def find_archived(self, batch_id: str) -> str | None:
        """The name under which a batch was published; None for a new one."""
        names = [entry.name for entry in files.entries(self.url / ".archive" / batch_id)]
        return min(names, default=None)

    def why_refused(self, name: str) -> str | None:
        """The reason of the file that was refused and lies under this name; None where none does."""
        reason = self._beside(name)
        return str(json.loads(reason.read_text(encoding="utf-8"))["reason"]) if reason.exists() else None

    def archive(self, arrival: Arrival, batch_id: str) -> bool:
        """Take a published file out of the folder, then forget what was staged of it.

        Returns:
            Whether the file was as it had been read; where it has changed since, it stays, to be read anew.
        """
        try:
            self._put_away(arrival, self.url / ".archive" / batch_id, arrival.name)
            unchanged = True
        except files.FileChanged:
            unchanged = False
        self.unstage(batch_id)  # not after a fault of the store: by its plan a retry knows what is published
        return unchanged

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
            name = self.find_archived(batch_id) if batch_id else None
            if name and not self.waits(name):
                self.unstage(batch_id)

    def refuse(self, arrival: Arrival, reason: dict[str, Any]) -> bool:
        """Take a refused file out of the folder, with the reason beside it.

        Returns:
            Whether it was moved; False when another ingest had settled it, or when it has changed since it
            was read and stays.
        """
        for name in self._free_names(arrival, reason):
            try:
                moved = self._put_away(arrival, self.url / ".refused", name)
            except FileExistsError:
                files.remove(self._beside(name))
                continue
            except files.FileChanged:
                moved = False
            if not moved and not (self.url / ".refused" / name).exists():
                files.remove(self._beside(name))
            return moved
        raise AssertionError("Numbers do not end.")

    def _free_names(self, arrival: Arrival, reason: dict[str, Any]) -> Iterator[str]:
        """Names for a refused file, each reserved by its reason, which lies beside it."""
        document = {**reason, "identity": arrival.identity}
        for number in count(1):
            name = with_number(arrival.name, number)
            try:
                files.create_whole(self._beside(name), json.dumps(document, indent=2).encode())
            except FileExistsError:
                if not self._is_of(arrival, name):
                    continue
                files.write_whole(self._beside(name), json.dumps(document, indent=2).encode())
            yield name

    def _is_of(self, arrival: Arrival, name: str) -> bool:
        """Whether the reason beside a name is of this very file: it was refused, or was about to be."""
        beside = json.loads(self._beside(name).read_text(encoding="utf-8"))
        return bool(beside["file"] == arrival.name and beside["identity"] == arrival.identity)

    def _put_away(self, arrival: Arrival, folder: UPath, name: str) -> bool:
        """Move a file; False when another ingest has done so.

        Raises:
            FileExistsError: Another file has the name.
            FileChanged: It is no longer as it was read.
        """
        source, target = self.url / arrival.name, folder / name
        try:
            files.move(source, target, arrival.state)
        except FileNotFoundError:
            return False
        except FileExistsError:
            if arrival.sha256 is None or files.sha256(str(target)) != arrival.sha256:
                raise
            return _remove_unchanged(source, arrival.state)
        return True

    def _rests(self, name: str, before: State | None) -> bool:
        path = self.url / name
        return before is not None and files.state_of(path) == before and not files.is_being_written(path)

    def _named_in_text(self, entry: Entry) -> str:
        """Rename a file whose name is not UTF-8: no reason, report or row could tell of it."""
        text: str = os.fsencode(entry.name).decode("utf-8", "backslashreplace").replace("\\x", "%")
        if entry.name.isascii() or os.fsencode(entry.name).decode("utf-8", "replace") == entry.name:
            return entry.name
        for number in count(1):
            name = with_number(text, number)
            try:
                files.move(self.url / entry.name, self.url / name, entry.state)
            except FileExistsError:
                continue
            except (FileNotFoundError, files.FileChanged):
                pass
            return name
        raise AssertionError("Numbers do not end.")

    def _beside(self, name: str) -> UPath:
        """Where the reason of a refused file lies; a name that leaves no room for the ending is cut."""
        ending = ".reason.json"
        if len(name.encode()) + len(ending) > LONGEST_NAME:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            name = f"{name.encode()[: LONGEST_NAME - 32].decode(errors='ignore')}-{digest}"
        return self.url / ".refused" / f"{name}{ending}"

    def _plan_of(self, batch_id: str) -> UPath:
        return self.url / ".staged" / f"{batch_id}.plan.json"


def _remove_unchanged(path: UPath, state: State) -> bool:
    """Remove a file that is as it was seen; False when another ingest has done so."""
    try:
        files.require_unchanged(path, state)
    except FileNotFoundError:
        return False
    files.remove(path)
    return True


def _is_young(state: State | None) -> bool:
    """Whether a local file was written to just now, or in the future of a clock that runs ahead."""
    return state is not None and time.time() - state[1] / 1e9 < REST_SECONDS
