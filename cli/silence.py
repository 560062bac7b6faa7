"""`perennial silence`: be alerted of nothing about a model for a while, and say why."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import show
from cli.app import AsJson, WhyIfAny, app, place_of, require_reason
from cli.names import AnyModel, require_known
from cli.times import short

if TYPE_CHECKING:
    from cli.place import Place
    from tasks.contracts import Silence

DAG, LEDGER = "silence_alerts", "ledger"
COLUMNS = ("MODEL", "ALERTS", "UNTIL", "BY", "WHY")
LENGTH = re.compile(r"(\d+(?:\.\d+)?)([hdw])")
DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}


@app.command()
def silence(  # noqa: PLR0913 - each is an option of the word
    context: typer.Context,
    model: AnyModel = None,
    *,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="CODE", help="Only alerts for this reason, such as drift."),
    ] = None,
    length: Annotated[
        str | None, typer.Option("--for", metavar="2d", help="How long: hours (h), days (d) or weeks (w).")
    ] = None,
    why: WhyIfAny = "",
    listed: Annotated[bool, typer.Option("--list", help="Show the silences that hold.")] = False,
    end: Annotated[bool, typer.Option("--end", help="Be alerted again at once.")] = False,
    json: AsJson = False,
) -> None:
    """Send no alerts about a model for a while. What there is stays in the ledger and in `status`."""
    if not listed:
        _require_one_wish(model, reason, length, why, end=end)
    place = place_of(context)
    if listed or model is None:
        _show(silences_of(place, model), json=json)
        return
    days = None if end else _days(length)
    _require_code(reason)
    require_reason(why)
    place.require_running()
    _require_known(place, model)
    _show(_by_airflow(place, {"model": model, "of": reason, "days": days, "reason": why}), json=json)


def _require_one_wish(
    model: str | None, reason: str | None, length: str | None, why: str, *, end: bool
) -> None:
    """Refuse what would else be passed over: a silence of no model, or one that begins and ends."""
    if model is None and (reason or length or why or end):
        raise typer.BadParameter("name the model or table whose alerts are meant.", param_hint="MODEL")
    if end and length:
        raise typer.BadParameter("--end ends a silence, and --for begins one: give one of them.")


def silences_of(place: "Place", only: str | None) -> "list[Silence]":
    """The silences that hold, of everything or of one model."""
    from tasks.contracts import Action
    from tasks.monitoring.alerts.due import silences

    written = [entry for entry in place.history(only) if entry.action == Action.SILENCE][::-1]
    names, now = sorted({entry.model for entry in written}), datetime.now(UTC)
    by_name = {name: [entry for entry in written if entry.model == name] for name in names}
    return [each for name in names for each in silences(by_name[name], now)]


def _require_known(place: "Place", name: str) -> None:
    """Take a model's name, or a table's: files that fail are alerted by their table; or the ledger's, by
    which the look of each minute is alerted.
    """
    if name != LEDGER and name not in _tables(place):
        require_known(place, name)


def _tables(place: "Place") -> set[str]:
    if place.is_remote:
        dags = place.airflow.every("/dags", "dags", tags="ingest")
        return {dag["dag_id"].removeprefix("ingest_") for dag in dags}
    from tasks.settings import settings
    from tasks.spec import read_specs

    return {table.table for spec in read_specs(settings().models)[0] for table in spec.data.all_tables}


def _by_airflow(place: "Place", conf: dict[str, Any]) -> "list[Silence]":
    from cli.asked import result_of
    from tasks.contracts import Silenced

    return list(Silenced.model_validate(result_of(place.airflow, DAG, "silence", conf)).silences)


def _show(found: "list[Silence]", *, json: bool) -> None:
    if json:
        show.as_json({"silences": [each.model_dump(exclude={"contract_version"}) for each in found]})
        return
    rows = [(each.model, each.of or "all", short(each.until), each.by, each.why) for each in found]
    show.table(COLUMNS, rows, nothing="No alert is silenced.")


def _days(length: str | None) -> float:
    found = LENGTH.fullmatch(length or "")
    if not found or not float(found[1]):
        given = f"{length!r} is no length of time" if length else "say how long"
        raise typer.BadParameter(f"{given}: give it as 12h, 2d or 1w.", param_hint="--for")
    from tasks.contracts.alerts import LONGEST_SILENCE_DAYS

    days = float(found[1]) * DAYS[found[2]]
    if days > LONGEST_SILENCE_DAYS:
        longest = f"{LONGEST_SILENCE_DAYS:g}d"
        raise typer.BadParameter(f"{length} is longer than a silence may be ({longest}).", param_hint="--for")
    return days


def _require_code(reason: str | None) -> None:
    from typing import get_args

    from tasks.contracts import AlertReason

    codes = get_args(AlertReason)
    if reason is not None and reason not in codes:
        raise typer.BadParameter(f"{reason!r} is none of {', '.join(codes)}.", param_hint="--reason")
