"""The parts of a snapshot, as they were frozen: every reader comes through here."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import SnapshotPart
from tasks.errors import FrozenSetMismatch
from tasks.stores import files
from tasks.stores.faults import explain
from tasks.stores.row_hash import sha256_of_rows

REMEDY = "Restore it, or start a new training, which takes a new snapshot."


def read_part(part: SnapshotPart) -> pa.Table:
    """The rows of a part.

    Raises:
        FrozenSetMismatch: The file is missing, or does not hold the rows that the snapshot froze.
    """
    with tempfile.TemporaryDirectory(prefix="perennial-part-") as folder:
        return _fetch(part, Path(folder) / "part.parquet")


def fetch_part(part: SnapshotPart, to: Path) -> Path:
    """Copy a part to the local path `to`.

    Raises:
        FrozenSetMismatch: The file is missing, or does not hold the rows that the snapshot froze.
    """
    _fetch(part, to)
    return to


def _fetch(part: SnapshotPart, to: Path) -> pa.Table:
    """Copied first and then read, so that a fault of the store is never taken for one of the file."""
    try:
        files.fetch(part.url, to)
    except FileNotFoundError as error:
        if explain(error) is not None:  # the bucket is missing
            raise
        raise FrozenSetMismatch(
            f"There is no file {part.url}, but a snapshot froze {part.rows} rows in it. {REMEDY}",
            frozen=part.sha256,
        ) from error
    return _require_frozen(_read(to, part), part)


def _read(file: Path, part: SnapshotPart) -> pa.Table:
    try:
        return pq.read_table(file)
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        # Of the machine: of a broken file Arrow gives no number.
        if getattr(error, "errno", None) is not None:
            raise
        raise FrozenSetMismatch(
            f"{part.url} cannot be read as Parquet, but a snapshot froze {part.rows} rows in it: the file is "
            f"cut off or was changed ({error}). {REMEDY}",
            frozen=part.sha256,
        ) from error


def _require_frozen(rows: pa.Table, part: SnapshotPart) -> pa.Table:
    found = sha256_of_rows(rows)
    if found != part.sha256:
        raise FrozenSetMismatch(
            f"The rows of {part.url} have the hash {found}, but the snapshot froze {part.sha256}: the file "
            f"was changed. {REMEDY}",
            found=found,
            frozen=part.sha256,
        )
    return rows
