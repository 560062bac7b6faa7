"""Count the rows that a training would see, and those of them that no training has seen.

Looked at before anything is spent: a training that has nothing to learn from, or nothing new, ends here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from tasks.contracts import CountRequest, RowCount
from tasks.data.age import why_not_yet
from tasks.data.changed_code import why_no_new_code
from tasks.data.model_query import ask, pin
from tasks.errors import NothingToDo
from tasks.ledger.champions import champion_times
from tasks.ledger.incidents import open_incident, why_nothing_is_trained
from tasks.spec import DataSpec, PipelineSpec
from tasks.stores import database, snapshots
from tasks.stores.lake import Lake, rows_of


def count(request: CountRequest) -> RowCount:
    """Count the rows, and say whether they are enough for a training.

    Raises:
        NothingToDo: A table is not there yet, or there are too few rows for a first training, or fewer new
            ones than `minimum_new_rows`; or a label incident is open, and nobody asked for the training; or
            the champion is not older than `maximum_age_days` and, where that counts, its code is the model's.
        LakeError: A table did not exist at `as_of`.
        InvalidQuery: The model's query is wrong.
    """
    lake, data, model = Lake(), request.spec.data, request.spec.name
    if request.by_itself:
        _require_answers(model)
    look_found = _require_cause(request)
    _require_tables(lake, data, model)
    versions = pin(lake, data, request.as_of)
    seen = _seen(lake, model, besides=request.context.run_key)
    rows = count_rows(lake, data, versions)
    found = RowCount(
        table=data.table,
        table_version=versions[data.table],
        rows=rows,
        new_rows=_new_rows(lake, data, rows, seen),
        seen_version=seen.get(data.table),
        look_found=look_found,
    )
    if why := too_few(found, request.spec, request.minimum_new_rows):
        raise NothingToDo(why, **found.model_dump())
    return found


def counted_rows(spec: PipelineSpec) -> tuple[int, int] | None:
    """The rows that a training would see now, and those of them that none has; None without a table.

    Raises:
        InvalidQuery: The model's query is wrong.
    """
    lake, data = Lake(), spec.data
    if not all(lake.exists(table.table) for table in data.all_tables):
        return None
    rows = count_rows(lake, data, pin(lake, data, None))
    return rows, _new_rows(lake, data, rows, _seen(lake, spec.name))


def _new_rows(lake: Lake, data: DataSpec, rows: int, seen: Mapping[str, int]) -> int:
    return max(0, rows - count_rows(lake, data, seen)) if data.table in seen else rows


def _seen(lake: Lake, model: str, besides: str = "") -> dict[str, int]:
    """The newest version of each table that a training pinned. A table that was removed and made again begins
    with version 0: nothing of it has been seen.
    """
    pinned = snapshots.newest_versions(model, besides=besides)
    return {table: version for table, version in pinned.items() if version <= _latest(lake, table)}


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


def count_rows(lake: Lake, data: DataSpec, versions: Mapping[str, int]) -> int:
    """How many rows the model's query gives on these versions of its tables; of the others on the newest."""
    counting = f"SELECT count(*) AS rows FROM {rows_of(data.query)}"  # noqa: S608 - the team's own
    return int(ask(lake, data, versions, counting, widened=True)["rows"][0].as_py())


def _require_tables(lake: Lake, data: DataSpec, model: str) -> None:
    for name in (table.table for table in data.all_tables):
        if not lake.exists(name):
            raise NothingToDo(
                f"There is no table {name!r} yet, so {model!r} has nothing to learn from. The first file in "
                f"its landing folder makes it; the DAG ingest_{name} has to be on."
            )


def _require_answers(model: str) -> None:
    with database.engine().connect() as connection:
        incident = open_incident(connection, model)
    if incident is not None:
        raise NothingToDo(why_nothing_is_trained(incident))


def _require_cause(request: CountRequest) -> Literal["age", "code"] | None:
    """Which of what a look of each day may find it has found; None where there was none to look for."""
    model, told = request.spec.name, []
    if request.maximum_age_days is not None:
        trained_at, judged_at = champion_times(model)
        why = why_not_yet(trained_at, judged_at, request.maximum_age_days, datetime.now(UTC))
        if why is None:
            return "age"
        told.append(why)
    if request.on_code_change:
        if (why := why_no_new_code(model)) is None:
            return "code"
        told.append(why)
    if told:
        raise NothingToDo(" ".join(told))
    return None


def _latest(lake: Lake, table: str) -> int:
    return lake.latest(table) if lake.exists(table) else -1
