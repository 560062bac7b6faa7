"""Read a sample file with DuckDB, as it is: text stays text, so that all values decide on a type."""

import csv
import gzip
import io
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InvalidRequest
from tasks.stores.lake_sql import quote

ROWS = 200_000
"""So many rows are looked at, drawn from all of the file: further ones hardly move a limit."""

COLUMNS = 500
"""Each column gives a handful of expectations, and every landed file is judged by all of them."""

IN_FILE = re.compile(r' in file "[^"]*"')
"""How DuckDB names the file, which it knows by another name than the user."""

RESERVED = ("ingested_at", "batch_id")

Format = Literal["csv", "json", "parquet"]
FORMATS: dict[str, Format] = {"csv": "csv", "jsonl": "json", "ndjson": "json", "parquet": "parquet"}


@dataclass(frozen=True)
class Sample:
    """The rows of a file, in its order.

    Attributes:
        file: Its name.
        rows: All rows, or `ROWS` drawn from them; what is text in the file is text here.
        total: How many rows the file has.
        unique: The columns whose values are all there and all different, in the whole file.
        json_types: For each column of JSON lines how many values are of which JSON type.
    """

    file: str
    format: Format
    rows: pa.Table
    total: int
    unique: frozenset[str]
    json_types: dict[str, dict[str, int]]


def read_sample(file: str) -> Sample:
    """Read a CSV, JSON lines or Parquet file; the first two also gzipped.

    Raises:
        InvalidRequest: There is no such file, it cannot be read, or it has no columns and rows for a table.
    """
    path = _require_file(file)
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind not in FORMATS or path.name.lower().endswith(".parquet.gz"):
        raise InvalidRequest(
            f"{path}: the kind of file is unknown. Take one that ends in .csv, .jsonl or .ndjson, each also "
            "with .gz, or in .parquet."
        )
    try:
        with _database(path) as (session, link):
            types = LOAD[FORMATS[kind]](session, link, path)
            return _drawn(session, path, FORMATS[kind], types)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8 text. Write it as UTF-8.") from error
    except (duckdb.Error, pa.ArrowException, OSError, EOFError, csv.Error) as error:
        raise InvalidRequest(
            f"{path} cannot be read: {_first_lines(error)} It is damaged, or not what its name says."
        ) from error


def _require_file(file: str) -> Path:
    if not file:
        raise InvalidRequest("Say which file to look at, for example FILE=reviews.csv.")
    path = Path(file)
    if not path.is_file():
        raise InvalidRequest(f"{path} is not a file. Say FILE=... with the path of a sample.")
    if not path.stat().st_size:
        raise InvalidRequest(f"{path} is empty. Take a file with a few thousand rows.")
    return path


@contextmanager
def _database(path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A database on disk, so that memory stays bounded, and the file by a name without wildcards."""
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        link = Path(folder) / ("file" + "".join(path.suffixes[-2:]).lower())
        link.symlink_to(path.resolve())
        config = {"threads": 2, "autoinstall_known_extensions": False, "memory_limit": "1GB"}
        with duckdb.connect(str(Path(folder) / "rows.duckdb"), config=config) as session:
            session.execute("SET TimeZone = 'UTC'")
            yield session, str(link)


def _load_csv(session: duckdb.DuckDBPyConnection, link: str, path: Path) -> dict[str, dict[str, int]]:
    header = _header(path)
    _require_columns(path, header)
    session.execute(
        "CREATE TABLE landed AS SELECT * FROM read_csv($1, auto_detect=false, header=true, columns=$2, "
        "delim=',', quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false)",
        [link, dict.fromkeys(header, "VARCHAR")],
    )
    return {}


def _header(path: Path) -> list[str]:
    zipped = path.name.lower().endswith(".gz")
    with (
        path.open("rb") as raw,
        gzip.GzipFile(fileobj=raw) if zipped else raw as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
    ):
        header = next(csv.reader(text), [])
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise InvalidRequest(
            f"{path} has one column, {header[0]!r}: its values are not comma-separated. Write it with commas."
        )
    return header


def _load_json(session: duckdb.DuckDBPyConnection, link: str, path: Path) -> dict[str, dict[str, int]]:
    session.execute(
        "CREATE TABLE objects AS SELECT json FROM read_json_objects($1, format='newline_delimited')", [link]
    )
    others = "SELECT count(*) FROM objects WHERE json_type(json) <> 'OBJECT'"
    if _row(session, others)[0]:
        raise InvalidRequest(f"{path} has lines that are not JSON objects. Write one object a line.")
    keys = "SELECT key FROM (SELECT rowid AS row, unnest(json_keys(json)) AS key FROM objects)"
    names = [name for (name,) in session.execute(f"{keys} GROUP BY key ORDER BY min(row)").fetchall()]
    _require_columns(path, names)
    values = ", ".join(f"json ->> {_path(name)} AS {quote(name)}" for name in names)
    session.execute(f"CREATE TABLE landed AS SELECT {values} FROM objects ORDER BY rowid")  # noqa: S608 - names are quoted
    return {name: _json_types(session, name) for name in names}


def _json_types(session: duckdb.DuckDBPyConnection, name: str) -> dict[str, int]:
    found = session.execute(
        f"SELECT json_type(json, {_path(name)}) AS kind, count(*) FROM objects GROUP BY kind"  # noqa: S608 - the name is quoted
    ).fetchall()
    return {kind: count for kind, count in found if kind not in {None, "NULL"}}


def _load_parquet(session: duckdb.DuckDBPyConnection, link: str, path: Path) -> dict[str, dict[str, int]]:
    _require_columns(path, pq.read_schema(link).names)
    session.execute("CREATE TABLE landed AS SELECT * FROM read_parquet($1)", [link])
    return {}


LOAD: dict[Format, Callable[[duckdb.DuckDBPyConnection, str, Path], dict[str, dict[str, int]]]] = {
    "csv": _load_csv,
    "json": _load_json,
    "parquet": _load_parquet,
}


def _require_columns(path: Path, names: Sequence[str]) -> None:
    """Refuse names that a table cannot have; SQL does not tell those apart that differ only in case."""
    lower = [name.lower() for name in names]
    double = sorted({name for name in lower if lower.count(name) > 1})
    if len(names) > COLUMNS:
        raise InvalidRequest(
            f"{path} has {len(names)} columns, and a suite is proposed for at most {COLUMNS}. Take those "
            "that the model needs, or turn the file if its rows and columns are exchanged."
        )
    if not names:
        raise InvalidRequest(f"{path} has no columns and no rows. Take a file with a few thousand rows.")
    if not all(name.strip() for name in names):
        raise InvalidRequest(f"{path} has a column without a name. Give each column one, in a first line.")
    if double:
        raise InvalidRequest(f"{path} has the columns {double} more than once. Rename all but one.")
    if taken := sorted(set(RESERVED) & set(lower)):
        raise InvalidRequest(f"{path} has the columns {taken}, which the lake adds itself. Rename them.")


def _drawn(
    session: duckdb.DuckDBPyConnection, path: Path, kind: Format, types: dict[str, dict[str, int]]
) -> Sample:
    total = int(_row(session, "SELECT count(*) FROM landed")[0])
    if not total:
        raise InvalidRequest(f"{path} has columns but no rows. Take a file with a few thousand rows.")
    drawn = f"SELECT rowid FROM landed USING SAMPLE reservoir({ROWS} ROWS) REPEATABLE (1)"  # noqa: S608 - a constant
    query = f"SELECT * FROM landed WHERE rowid IN ({drawn}) ORDER BY rowid"  # noqa: S608 - a constant
    rows = session.sql(query).to_arrow_table()
    return Sample(path.name, kind, rows, total, _unique(session, rows.column_names, total), types)


def _unique(session: duckdb.DuckDBPyConnection, names: Sequence[str], total: int) -> frozenset[str]:
    counts = ", ".join(f"count(DISTINCT {quote(name)})" for name in names)
    found = _row(session, f"SELECT {counts} FROM landed")  # noqa: S608 - the names are quoted
    return frozenset(name for name, count in zip(names, found, strict=True) if count == total)


def _row(session: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The one row that a query has."""
    ((*values,),) = session.execute(query).fetchall()
    return tuple(values)


def _path(name: str) -> str:
    """The JSON pointer to a key, as an SQL string. In a JSON path, `*` would be every key."""
    key = name.replace("~", "~0").replace("/", "~1").replace("'", "''")
    return f"'/{key}'"


def _first_lines(error: Exception) -> str:
    """What a library says, without its advice on its own options."""
    lines = [" ".join(line.split()) for line in IN_FILE.sub("", str(error)).splitlines() if line.strip()]
    said = " ".join(lines[:3])[:300].rstrip(".")
    return f"{said}."
