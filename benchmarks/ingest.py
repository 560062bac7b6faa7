"""What ingesting costs beside a bare DuckDB read of the same file, and beside a read that is appended to a
Delta table without a look at it; and how much memory it takes.

    .perennial/envs/dev/bin/python benchmarks/ingest.py [--mib 10 --mib 100 --mib 1024]

Flights of 2013's kind, 12 columns, with the suite that models/flight_delay ships (22 expectations). Each
measurement is a process of its own; the three of a file run one after the other. The bare read gives every
value of the file with the table's types and drops it. The ingest copies and hashes the file, checks its
quotes, types, keys, text and suite, stages the rows and appends them to a Delta table. The size of a Parquet
file is what its columns take unpacked. Time counts from the first byte that is read, without imports. Memory
is the most that the process held at once.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

ROW_BYTES = {"csv": 71, "parquet": 38}
FLIGHTS = """
    SELECT 'f' || i AS flight_id, TIMESTAMP '2013-01-01' + to_minutes((i % 500000)::INT) AS scheduled_at,
        carrier || (1 + i % 9000) AS flight, carrier, ['EWR', 'JFK', 'LGA'][1 + i % 3] AS origin,
        ['IAH', 'MIA', 'BQN', 'ATL', 'ORD'][1 + i % 5] AS destination, 1 + i % 12 AS month,
        1 + i % 7 AS weekday, i * 7 % 1440 AS departure_minute, 100 + i * 13 % 4000 AS distance_miles,
        (hash(i) % 4 = 0)::BIGINT AS late,
        (hash(i) % 60)::BIGINT - 30 AS arrival_delay_minutes
    FROM (SELECT range AS i, ['UA', 'AA', 'DL', 'B6'][1 + range % 4] AS carrier FROM range({rows}))
"""
WRITTEN = {"csv": "(HEADER)", "parquet": "(FORMAT parquet)"}


def main(
    mib: Annotated[list[int] | None, typer.Option(help="The sizes of the files.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="csv or parquet; by default both.")] = None,
    at_most: Annotated[float, typer.Option(help="The largest ratio of time that passes.")] = 12.0,
    at_most_mib: Annotated[int, typer.Option(help="The most memory that passes.")] = 2048,
) -> None:
    """Print rows a second, memory and the ratio of time for each size and format."""
    typer.echo(
        "format     MiB       rows   ingest   rows/s  memory   bare read  memory  ratio  and append  ratio"
    )
    ratios, peaks = [], []
    for form in kind or ["csv", "parquet"]:
        for size in mib or [10, 100, 1024]:
            with tempfile.TemporaryDirectory(prefix="perennial-bench-") as folder:
                file = _made(Path(folder), form, size)
                bare, appended = _measure("bare", file), _measure("append", file)
                ours = _measure("ingest", file)
            ratios.append(ours["seconds"] / bare["seconds"])
            peaks.append(ours["peak_mib"])
            speed, beside = ours["rows"] / ours["seconds"], ours["seconds"] / appended["seconds"]
            typer.echo(
                f"{form:8} {size:5}  {ours['rows']:9,}  {ours['seconds']:5.1f} s  {speed:7,.0f}  "
                f"{ours['peak_mib']:4.0f} MiB  {bare['seconds']:7.1f} s  {bare['peak_mib']:4.0f} MiB  "
                f"{ratios[-1]:4.1f} x  {appended['seconds']:8.1f} s  {beside:4.1f} x"
            )
    typer.echo(f"the largest ratio is {max(ratios):.1f}, the most memory {max(peaks):.0f} MiB")
    if max(ratios) > at_most or max(peaks) > at_most_mib:
        typer.echo(f"At most {at_most} times the bare read and {at_most_mib} MiB were expected.", err=True)
        raise typer.Exit(1)


def child(what: str, file: Path) -> None:
    """Do one measurement and print it as JSON."""
    measure = {"bare": _bare, "append": _append, "ingest": _ingest}[what](file)
    started = time.perf_counter()
    rows = measure()
    found = {
        "rows": rows,
        "seconds": time.perf_counter() - started,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(found))


def _measure(what: str, file: Path) -> dict[str, Any]:
    environment = {**os.environ, "PERENNIAL_HOME": str(file.parents[2])}
    command = [sys.executable, __file__, "child", what, str(file)]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return found


def _made(folder: Path, kind: str, size: int) -> Path:
    """A file of about `size` MiB."""
    import duckdb

    file = folder / "home" / "landing" / "flights" / f"flights.{kind}"
    file.parent.mkdir(parents=True)
    rows = int((size << 20) / ROW_BYTES[kind] * (0.98 if size == 1024 else 1))
    duckdb.sql(f"COPY ({FLIGHTS.format(rows=rows)}) TO '{file}' {WRITTEN[kind]}")
    os.utime(file, (0, 0))
    return file


def _bare(file: Path) -> Any:
    import duckdb

    query = _query(file)

    def read() -> int:
        with duckdb.connect() as session:
            return sum(len(batch) for batch in session.sql(query).to_arrow_reader(100_000))

    return read


def _append(file: Path) -> Any:
    import duckdb
    from deltalake import DeltaTable, write_deltalake

    query, table = _query(file), str(file.parents[2] / "appended")

    def append() -> int:
        with duckdb.connect() as session:
            write_deltalake(table, session.sql(query).to_arrow_reader(100_000))
        return int(DeltaTable(table).count())

    return append


def _query(file: Path) -> str:
    """SQL that gives every value of the file with the table's types."""
    from tasks.spec import PipelineSpec

    columns = PipelineSpec.load(PROJECT / "models" / "flight_delay" / "pipeline.yaml").data.columns
    names = {"string": "VARCHAR", "int64": "BIGINT", "timestamp": "TIMESTAMPTZ"}
    types = json.dumps({name: names[kind] for name, kind in columns.items()})
    source = f"read_csv('{file}', header = true, types = {types})" if file.suffix == ".csv" else f"'{file}'"
    return f"FROM {source}"


def _ingest(file: Path) -> Any:
    import tasks.data.judge_file  # noqa: F401 - imported as the first file would
    from tasks.contracts import IngestRequest, StepContext
    from tasks.data.ingest import ingest
    from tasks.spec import PipelineSpec, table_of

    spec = PipelineSpec.load(PROJECT / "models" / "flight_delay" / "pipeline.yaml")
    context = StepContext(actor="benchmark", step_key="benchmark", work_url=str(file.parents[2] / "runs"))
    request = IngestRequest(context=context, table=table_of(spec))

    def run() -> int:
        (outcome,) = ingest(request).files
        if outcome.status != "published":
            raise SystemExit(f"The file was not published: {outcome}")
        return outcome.published_rows

    return run


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], Path(sys.argv[3]))
    else:
        typer.run(main)
