"""Read a landed file: CSV, JSON lines or Parquet, each also
gzipped, into rows with the columns that its table declares.

A fault of the whole file (it cannot be read, it is cut off, its columns are not the table's) is
`DataRejected`; so is whatever else a reader says of it, unless it is the machine that failed. A fault of a
single row is kept beside the rows, so that the others can join the table. No more than a batch of a file is
held at once.
"""

from collections.abc import Iterator, Mapping

from tasks.data.csv_reader import read_csv
from tasks.data.json_reader import read_json_lines
from tasks.data.landed_file import LandedFile
from tasks.data.landed_rows import LandedRows, Reader
from tasks.data.parquet_reader import is_collected, read_parquet
from tasks.errors import DataRejected
from tasks.spec import ColumnType, TableSpec
from tasks.stores.machine import is_of_machine

READERS: dict[str, Reader] = {
    "csv": read_csv,
    "jsonl": read_json_lines,
    "ndjson": read_json_lines,
    "parquet": read_parquet,
}


def read_rows(landed: LandedFile, table: TableSpec, grown: Mapping[str, ColumnType]) -> Iterator[LandedRows]:
    """The rows of a file, batch by batch.

    Args:
        grown: Columns that the table has got from files before, which `table` does not declare.

    Raises:
        DataRejected: A fault of the whole file; the message says which.
    """
    found = 0
    try:
        for rows in _reader(landed.name)(landed, table, grown):
            found += len(rows.numbers) + len(rows.unreadable)
            yield rows
    except Exception as error:
        if isinstance(error, DataRejected) or is_of_machine(error):
            raise
        raise DataRejected(
            f"{landed.name} cannot be read: {error}. It is damaged, or not what its name says."
        ) from error
    if not found:
        raise DataRejected(f"{landed.name} has no rows. Land it again with some.")


def comes_from_us(landed: LandedFile) -> bool:
    """Whether our own `collect` wrote the file: each row of it was sent by somebody else.

    Raises:
        DataRejected: It cannot be read.
    """
    return _reader(landed.name) is read_parquet and is_collected(landed)


def kind_of_file(name: str) -> str:
    """What the end of a name says: `csv`, `jsonl`, `ndjson` or `parquet`.

    Raises:
        DataRejected: It says something else.
    """
    kind = name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind not in READERS:
        raise DataRejected(
            f"{name}: the kind of file is unknown. Land one of {', '.join(sorted(READERS))}, each also with "
            ".gz."
        )
    return kind


def _reader(name: str) -> Reader:
    return READERS[kind_of_file(name)]
