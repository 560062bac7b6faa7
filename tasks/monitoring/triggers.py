"""Look what may start a training of each model; what it comes to is said in `tasks.monitoring.armed`."""

from datetime import UTC, datetime

from tasks.contracts import Action, LedgerEntry, Triggers, TriggersRequest
from tasks.data.age import why_not_yet
from tasks.data.changed_code import why_no_new_code
from tasks.data.count import counted_rows
from tasks.errors import InvalidRequest, PerennialError
from tasks.ledger import entries
from tasks.ledger.champions import champion_run, champion_times
from tasks.ledger.incidents import open_incident, why_nothing_is_trained
from tasks.monitoring import armed
from tasks.monitoring.alerts.records import silences_of
from tasks.monitoring.memory import remember
from tasks.monitoring.watch import Memory
from tasks.settings import settings
from tasks.spec import PipelineSpec, read_specs
from tasks.stores.database import engine


def triggers(request: TriggersRequest) -> Triggers:
    """The triggers of these models. Raises as `look`."""
    return look(request.models)


def look(names: tuple[str, ...] = ()) -> Triggers:
    """What may start a training of each of these models, of all where none is named.

    Raises:
        InvalidRequest: The project has no readable model of a name.
    """
    specs = {spec.name: spec for spec in read_specs(settings().models)[0]}
    if unknown := sorted(set(names) - set(specs)):
        raise InvalidRequest(
            f"The project has no model {', '.join(unknown)}, or its pipeline.yaml is wrong. It has: "
            f"{', '.join(sorted(specs)) or 'none'}."
        )
    now = datetime.now(UTC)
    chosen = [specs[name] for name in sorted(names or specs)]
    return Triggers(models=tuple(armed.triggers(spec, _seen(spec, now)) for spec in chosen))


def _seen(spec: PipelineSpec, now: datetime) -> armed.Seen:
    model, most = spec.name, spec.training.maximum_age_days
    trained_at, judged_at = champion_times(model)
    rows = counted_rows(spec)
    check = _last_check(model)
    return armed.Seen(
        now=now,
        rows=rows[0] if rows else None,
        new_rows=rows[1] if rows else None,
        trained_at=trained_at,
        too_young=None if most is None else why_not_yet(trained_at, judged_at, most, now),
        same_code=_same_code(model) if spec.training.on_code_change else None,
        last_check=check.after if check else None,
        last_why=check.why if check else None,
        checked_at=check.at if check else None,
        incident=_incident(model),
        memory=_memory(model),
        silenced=tuple(
            f"Nobody is alerted of {each.of or 'anything'} until {each.until:%Y-%m-%d %H:%M} UTC ({each.by})."
            for each in silences_of(model, now)
        ),
    )


def _same_code(model: str) -> str | None:
    try:
        return why_no_new_code(model)
    except PerennialError as error:
        return f"The model's code cannot be compared with the champion's now: {error}"


def _last_check(model: str) -> LedgerEntry | None:
    return next(iter(entries.newest_of(model, [Action.DRIFT], 1)), None)


def _memory(model: str) -> Memory:
    with engine().connect() as connection:
        return remember(connection, model, champion_run(model) or "")


def _incident(model: str) -> str | None:
    with engine().connect() as connection:
        found = open_incident(connection, model)
    return why_nothing_is_trained(found) if found else None
