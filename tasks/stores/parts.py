"""The parts of a snapshot, as they were frozen: every reader comes through here."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import SnapshotPart
from tasks.errors import FrozenSetMismatch
from tasks.stores import files
from tasks.stores.row_hash import sha256_of_rows


def read_part(part: SnapshotPart) -> pa.Table:
    """The rows of a part.

    Raises:
        FrozenSetMismatch: The file does not hold the rows that the snapshot froze.
    """
    with files.at(part.url).open("rb") as file:
        return _frozen(pq.read_table(file), part)


def fetch_part(part: SnapshotPart, to: Path) -> Path:
    """Copy a part to the local path `to`.

    Raises:
        FrozenSetMismatch: The file does not hold the rows that the snapshot froze.
    """
    _frozen(pq.read_table(files.fetch(part.url, to)), part)
    return to


def _frozen(rows: pa.Table, part: SnapshotPart) -> pa.Table:
    found = sha256_of_rows(rows)
    if found != part.sha256:
        raise FrozenSetMismatch(
            f"The rows of {part.url} have the hash {found}, but the snapshot froze {part.sha256}: the file "
            "was changed. Restore it, or start a new training, which takes a new snapshot.",
            found=found,
            frozen=part.sha256,
        )
    return rows
