"""Count the rows that a training would see, and those of them that no training has seen.

Looked at before anything is spent: a training that has nothing to learn from, or nothing new, ends here.
"""

from tasks.contracts import CountRequest, RowCount
from tasks.data.model_query import ask
from tasks.errors import NothingToDo
from tasks.spec import DataSpec, PipelineSpec
from tasks.stores import snapshots
from tasks.stores.lake import Lake, rows_of


def count(request: CountRequest) -> RowCount:
    """Count the rows, and say whether they are enough for a training.

    Raises:
        NothingToDo: The table is not there yet, has too few rows for a first training, or has fewer new ones
            than `minimum_new_rows`.
        LakeError: The table did not exist at `as_of`.
        InvalidQuery: The model's query is wrong.
    """
    lake, data, model = Lake(), request.spec.data, request.spec.name
    if not lake.exists(data.table):
        raise NothingToDo(
            f"There is no table {data.table!r} yet, so {model!r} has nothing to learn from. The first file "
            f"in its landing folder makes it; the DAG ingest_{data.table} has to be on."
        )
    version = lake.version_at(data.table, request.as_of) if request.as_of else lake.latest(data.table)
    seen = snapshots.newest_version(model, data.table, besides=request.context.run_key)
    # A table that was removed and made again begins with version 0: nothing of it has been seen.
    seen = None if seen is None or seen > lake.latest(data.table) else seen
    rows = count_rows(lake, data, version)
    new_rows = rows if seen is None else max(0, rows - count_rows(lake, data, seen))
    found = RowCount(table=data.table, table_version=version, rows=rows, new_rows=new_rows, seen_version=seen)
    if why := too_few(found, request.spec, request.minimum_new_rows):
        raise NothingToDo(why, **found.model_dump())
    return found


def too_few(found: RowCount, spec: PipelineSpec, minimum_new_rows: int) -> str | None:
    """Why these rows are no reason to train; None where they are.

    A model that was trained before and has lost its rows is a fault, which the snapshot explains.
    """
    if found.seen_version is None and found.rows < spec.data.minimum_rows:
        return (
            f"The table {found.table!r} has {found.rows} rows for {spec.name!r} so far, and a first training "
            f"waits for the {spec.data.minimum_rows} of data.minimum_rows."
        )
    if found.new_rows < minimum_new_rows:
        return (
            f"{found.new_rows} rows have joined {found.table!r} since the newest version that a training of "
            f"{spec.name!r} has seen ({found.seen_version}); training.minimum_new_rows waits for "
            f"{minimum_new_rows}."
        )
    return None


def count_rows(lake: Lake, data: DataSpec, version: int | None) -> int:
    """How many rows the model's query gives on a version of its table (None: the newest)."""
    counting = f"SELECT count(*) AS rows FROM {rows_of(data.query)}"  # noqa: S608 - the team's own
    versions = {} if version is None else {data.table: version}
    return int(ask(lake, data, versions, counting)["rows"][0].as_py())
