"""Rows that will be published, written as they are judged and read back as they are appended.

They lie beside the landed files as Arrow streams: written and read in one go, without holding more than a
batch of them.
"""

from collections.abc import Iterator
from typing import Any, Literal
from uuid import uuid4

import pyarrow as pa
from upath import UPath

from tasks.stores import files
from tasks.stores.lake_rows import Stream

Kind = Literal["accepted", "quarantined"]
ROWS_AT_ONCE = 1 << 16
"""In one piece: who appends them holds several."""
KINDS: tuple[Kind, ...] = ("accepted", "quarantined")


class Staging:
    """The rows of one plan for a batch.

    Attributes:
        rows: A name that no other plan has.
        counts: How many rows of each kind were written.
    """

    def __init__(self, folder: UPath, batch_id: str, rows: str | None = None) -> None:
        self.rows = rows or uuid4().hex
        self.counts = dict.fromkeys(KINDS, 0)
        self._folder = folder
        self._batch_id = batch_id
        self._writers: dict[Kind, tuple[Any, Any]] = {}

    def write(self, kind: Kind, rows: pa.Table) -> None:
        """Add rows; all of a kind have the same columns."""
        if len(rows) == 0:
            return
        if kind not in self._writers:
            self._writers[kind] = self._writer(kind, rows.schema)
        self._writers[kind][0].write_table(rows, max_chunksize=ROWS_AT_ONCE)
        self.counts[kind] += len(rows)

    def restart(self, kind: Kind) -> None:
        """Begin anew with the rows of a kind."""
        if kind in self._writers:
            for opened in self._writers.pop(kind):
                opened.close()
        self.counts[kind] = 0

    def close(self) -> None:
        """Finish what was written."""
        for kind in list(self._writers):
            for opened in self._writers.pop(kind):
                opened.close()

    def discard(self) -> None:
        """Remove what was written."""
        self.close()
        for kind in KINDS:
            files.remove(self._path(kind))
        self.counts = dict.fromkeys(KINDS, 0)

    def read(self, kind: Kind) -> Stream:
        """The rows of a kind that has some.

        Raises:
            FileNotFoundError: They are gone.
        """
        path = self._path(kind)
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            schema = reader.schema

        def batches() -> Iterator[pa.RecordBatch]:
            with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
                yield from reader

        return Stream(schema, batches)

    def _writer(self, kind: Kind, schema: pa.Schema) -> tuple[Any, Any]:
        """What writes rows, and the file below it."""
        path = self._path(kind)
        files.make_parent(path)
        file = path.open("wb")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        return pa.ipc.new_stream(file, schema, options=options), file

    def _path(self, kind: Kind) -> UPath:
        return self._folder / f"{self._batch_id}.{self.rows}.{kind}.arrows"
