"""`perennial status`: what serves, since when and why; what runs; what is wrong."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from cli import objectives, show
from cli.app import AsJson, app, place_of
from cli.exits import TROUBLE
from cli.names import AnyModel, known_names, names_here, require_known
from cli.times import short

if TYPE_CHECKING:
    from cli.place import Place
    from cli.runs import Airflows, FailedNewest
    from tasks.contracts import Contract, LateRun, ModelFigures, Serving, Silence, Standing, Trouble

TOLD_AS_WRONG = ("incident", "label_incident", "quarantine", "failed_step")
"""The reasons for alerts that `Wrong:` says, too."""
COLUMNS = ("MODEL", "SERVES", "SINCE", "RUNS", "WHY")


@app.command()
def status(context: typer.Context, model: AnyModel = None, *, json: AsJson = False) -> None:
    """Say what serves, since when and why; what runs; what is wrong. Ends with 3 where something is."""
    place = place_of(context)
    place.require_running()
    if model:
        require_known(place, model)
    airflow = place.look(model)
    standings, faults = _standings(place, model)
    alerts, silences = _alerts(place, [each.model for each in standings])
    figures = _figures(place, {each.model for each in standings})
    failed = _failed(place, airflow)
    runs = [each.why for each in failed]
    wrong = list(
        dict.fromkeys(
            [
                *faults,
                *airflow.faults,
                *runs,
                *objectives.faults(figures),
                *_project_faults(place),
                *_ledger_faults(place),
            ]
        )
    )
    if json:
        told = {"alerts": _plain(alerts), "silences": _plain(silences), "figures": _plain(figures)}
        show.as_json({**_document(place, standings, airflow, wrong), **told})
    else:
        seen = {each.run for each in failed}
        _print(place, standings, airflow, wrong)
        objectives.tell(figures, datetime.now(UTC))
        _print_alerts(alerts, silences, seen)
    if wrong:
        raise typer.Exit(TROUBLE)


def _standings(place: "Place", only: str | None) -> "tuple[list[Standing], list[str]]":
    """How each model stands; and what is wrong, of them and of asking."""
    from tasks.errors import PerennialError

    faults: list[str] = []
    served: dict[str, Serving] = {}
    here = [] if place.is_remote else names_here()
    known = here
    try:
        served = place.serves()
        known = known_names(place) if place.is_remote and not only else here
    except PerennialError as error:
        faults.append(str(error))
    names = [only] if only else sorted({*known, *served})
    standings = [_standing(place, name, served.get(name)) for name in names]
    if here:
        faults += [_orphan(name) for name in sorted(set(served) - set(here))]
    return standings, [*faults, *(fault for each in standings for fault in each.faults)]


def _standing(place: "Place", model: str, seen: "Serving | None") -> "Standing":
    from tasks.contracts import Standing
    from tasks.errors import PerennialError

    try:
        return place.standing(model, seen)
    except PerennialError as error:
        return Standing(model=model, serving=None, why=None, by=None, entry=None, faults=(str(error),))


def _alerts(place: "Place", models: list[str]) -> "tuple[list[Trouble], list[Silence]]":
    """What somebody should know, silenced or not, and the silences."""
    from tasks.errors import PerennialError
    from tasks.monitoring.alerts.records import listed

    try:
        late = _late(place) if models else []
        found = [listed(model, place.history, datetime.now(UTC), late) for model in models]
    except PerennialError:  # told of already, where the models' standings are asked for
        return [], []
    return [each for one, _ in found for each in one], [each for _, one in found for each in one]


def _late(place: "Place") -> "list[LateRun]":
    """The trainings that are late; a platform elsewhere of an earlier version has no word for them."""
    from tasks.errors import InvalidRequest

    try:
        return place.late()
    except InvalidRequest:
        return []


def _figures(place: "Place", models: set[str]) -> "list[ModelFigures]":
    """How these models stood by their objectives when the platform looked last."""
    from tasks.errors import PerennialError

    try:
        return [each for each in place.figures() if each.model in models]
    except PerennialError:  # told of already, where the models' standings are asked for
        return []


def _plain(contracts: "Sequence[Contract]") -> list[dict[str, Any]]:
    return [each.model_dump(mode="json", exclude={"contract_version"}) for each in contracts]


def _failed(place: "Place", airflow: "Airflows") -> "list[FailedNewest]":
    """The failed runs that somebody has to see to: not that of a release which was overtaken since."""
    from tasks.errors import PerennialError
    from tasks.monitoring.alerts.overtaken import overtaken

    found = []
    for each in airflow.failed:
        family, _, model = each.dag_id.partition("_")
        try:
            is_over = family == "release" and overtaken(place.history(model), each.since, each.run)
        except PerennialError:  # told of already, where the ledger is asked for
            is_over = None
        if not is_over:
            found.append(each)
    return found


def _print_alerts(alerts: "list[Trouble]", silences: "list[Silence]", told: set[str]) -> None:
    """Those that are told nowhere else on the page, and what nobody is alerted of.

    Args:
        told: The failed runs that `Wrong:` tells of; of theirs only what to do is said.
    """
    for each in alerts:
        if each.reason == "release" and "/".join((each.step or "").split("/")[:2]) in told:
            show.tell(f"  {each.model}: {each.next_step}")
        elif each.reason not in TOLD_AS_WRONG:
            show.trouble(f"Alert: {each.model}: {each.reason}, since {short(each.since)}. {each.why}")
            show.tell(f"  {each.next_step}")
    for silence in silences:
        about = f"alerts about {silence.of}" if silence.of else "every alert"
        until = short(silence.until)
        show.tell(f"Silenced: {about} of {silence.model} until {until}, by {silence.by}: {silence.why}")


def _orphan(model: str) -> str:
    return (
        f"{model} serves, but the project has no model of this name any more. Take it out of service: "
        f"perennial withdraw {model} --why ..."
    )


def _project_faults(place: "Place") -> list[str]:
    """What is wrong with the models' files, of which there are no DAGs."""
    if place.is_remote:
        return []
    from tasks.settings import settings
    from tasks.spec import read_specs

    return [str(fault) for fault in read_specs(settings().models)[1]]


def _ledger_faults(place: "Place") -> list[str]:
    """What is wrong with the ledger's end; `ledger --verify` looks at all of it."""
    from tasks.errors import PerennialError

    try:
        return place.wrong_at_end()
    except PerennialError as error:
        return [str(error)]


def _document(
    place: "Place", standings: "list[Standing]", airflow: "Airflows", wrong: list[str]
) -> dict[str, Any]:
    return {
        "platform": place.name,
        "models": [
            {
                **each.model_dump(mode="json", exclude={"contract_version"}),
                "paused": sorted(_paused(each.model, airflow)),
            }
            for each in standings
        ],
        "runs": airflow.runs,
        "wrong": wrong,
    }


def _paused(model: str, airflow: "Airflows") -> set[str]:
    from cli.runs import WATCHED

    return {f"{family}_{model}" for family in WATCHED} & airflow.paused


def _print(place: "Place", standings: "list[Standing]", airflow: "Airflows", wrong: list[str]) -> None:
    from cli.runs import questions

    show.tell(f"Platform: {place.name}")
    rows = []
    for each in standings:
        at_work = [str(run) for run in airflow.runs if run.of(each.model)]
        paused = [f"{dag_id} is paused" for dag_id in sorted(_paused(each.model, airflow))]
        serving = each.serving
        rows.append(
            (
                each.model,
                serving.model_version if serving else None,
                short(serving.since) if serving else None,
                "; ".join([*at_work, *paused]),
                each.why,
            )
        )
    show.table(COLUMNS, rows, nothing="The project has no model yet: make model NAME=... TASK=...")
    for each in standings:
        if each.release:
            show.tell(f"Release: {each.model}: {each.release}")
        for there in each.environments:
            serves = f"version {there.model_version}" if there.model_version else "no version"
            since = short(there.since)
            show.tell(f"In {there.environment}: {each.model}: {serves}, since {since}. {there.why}")
    models = {each.model for each in standings}
    for run in airflow.runs:
        if not any(run.of(model) for model in models):
            show.tell(f"At work: {run}")
    for asked in questions(airflow.runs, place.airflow.page):
        show.tell(f"Asks: {asked}")
    for note in (note for each in standings for note in each.notes):
        show.tell(f"Note: {' '.join(note.split())}")
    for fault in wrong:
        show.trouble(f"Wrong: {' '.join(fault.split())}")
