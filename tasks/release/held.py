"""Is there a held candidate that so many rows have come for that it can be decided again?"""

from datetime import UTC, datetime

from tasks.contracts import Action, Held, HeldRequest, LedgerEntry
from tasks.data.count import count_rows
from tasks.data.model_query import pin
from tasks.data.trusted_rows import versions_then
from tasks.errors import NothingToDo
from tasks.gate.awaited_rows import Awaited, awaited_rows
from tasks.ledger import entries
from tasks.monitoring.new_rows import count_new_rows
from tasks.serving.champion import tell_champion
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tasks.stores.database import engine
from tasks.stores.lake import Lake


def held(request: HeldRequest) -> Held:
    """The candidate that the gate held last, where it may be decided now. That is estimated by the share of
    rows that are test rows; the gate counts them.

    Raises:
        NothingToDo: None was held against the version that serves, more rows alone cannot decide it, or there
            are too few yet.
    """
    spec, serving = request.spec, tell_champion(request.spec.name).version
    entry = _last(spec.name)
    if serving is None or entry is None or entry.after != "hold" or entry.before != serving.run_id:
        raise NothingToDo(f"No candidate of {spec.name!r} is held against the version that serves.")
    awaited = awaited_rows(entry)
    if awaited is None:
        raise NothingToDo(
            f"The candidate of the ledger's entry {entry.sequence} was held for a reason that more rows "
            f"alone do not change: {entry.why}"
        )
    there = {each: _rows(each, spec, serving.run_id) for each in awaited}
    told = ", ".join(
        f"{each.rule} waits for {each.rows:,} {each.of} rows, and there are about {rows:,}"
        for each, rows in there.items()
    )
    if any(rows < each.rows for each, rows in there.items()):
        raise NothingToDo(f"The candidate of the ledger's entry {entry.sequence} stays held: {told}.")
    run_id = str(entry.evidence["decision"]["run_id"])
    return Held(model=spec.name, run_id=run_id, entry=entry.sequence, why=f"{told}.")


def _last(model: str) -> LedgerEntry | None:
    with engine().connect() as connection:
        return next(entries.newest_first(connection, model, Action.GATE), None)


def _rows(awaited: Awaited, spec: PipelineSpec, champion: str) -> int:
    """About how many rows of the set there are now: of the test rows those that are old, of the newest those
    that the champion's snapshot has not.
    """
    lake, data = Lake(), spec.data
    if awaited.of == "newest":
        rows = count_new_rows(registry.training_run(champion).snapshot, data).rows
    else:
        then = versions_then(lake, spec, pin(lake, data), datetime.now(UTC))
        rows = 0 if then is None else count_rows(lake, data, then)
    return int(rows * data.split.test_share)
