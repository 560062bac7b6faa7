"""`perennial models`: which models there are, and which version of each serves."""

from typing import TYPE_CHECKING, Any

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.names import known_names

if TYPE_CHECKING:
    from cli.place import Place
    from tasks.contracts import Serving
    from tasks.spec import PipelineSpec

COLUMNS = ("MODEL", "SERVES", "TASK", "TABLES", "TRAINS", "OWNER", "ABOUT")


@app.command()
def models(context: typer.Context, *, json: AsJson = False) -> None:
    """List the models: the version that serves, the task, the tables, when each is trained, whose it is."""
    from tasks.settings import settings
    from tasks.spec import read_specs

    place = place_of(context)
    specs, faults = ((), ()) if place.is_remote else read_specs(settings().models)
    served, described = _served(place), {spec.name: spec for spec in specs}
    found = [
        _summary(name, served.get(name), described.get(name))
        for name in sorted({*known_names(place), *served})
    ]
    if json:
        show.as_json({"models": found, "wrong": [str(fault) for fault in faults]})
    else:
        rows = [list(each.values()) for each in found]
        show.table(COLUMNS, rows, nothing="The project has no model yet: make model NAME=... TASK=...")
        if empty := [each["model"] for each in found if each["model"] not in described]:
            show.tell(_why_empty(place, empty))
    for fault in faults:
        show.trouble(str(fault))


def _why_empty(place: "Place", models: list[str]) -> str:
    """Why nothing but the version is told of some models."""
    columns = f"{', '.join(COLUMNS[2:-1])} and {COLUMNS[-1]}"
    if place.is_remote:
        return (
            f"{columns} are in the files of the models, which a platform elsewhere does not show. Ask on its "
            "own machine, without PERENNIAL_URL, or look into the project that it runs."
        )
    return f"{columns} are unknown of {', '.join(models)}: the project has no readable pipeline.yaml of it."


def _served(place: "Place") -> "dict[str, Serving]":
    """What serves; nothing, and a word about it, where the gateway cannot be asked."""
    from tasks.errors import PerennialError

    if not place.runs:
        show.tell("No platform of this clone runs, so nothing serves.")
        return {}
    try:
        return place.serves()
    except PerennialError as error:
        show.trouble(str(error))
        return {}


def _summary(model: str, serving: "Serving | None", spec: "PipelineSpec | None") -> dict[str, Any]:
    """One model; what its files say is None where the project has none of this name."""
    return {
        "model": model,
        "serves": serving.model_version if serving else None,
        "task": spec.task if spec else None,
        "tables": ", ".join(table.table for table in spec.data.all_tables) if spec else None,
        "trains": _trains(spec) if spec else None,
        "owner": spec.owner if spec else None,
        "about": " ".join(spec.description.split()) if spec else None,
    }


def _trains(spec: "PipelineSpec") -> str:
    """What starts a training by itself, beside the drift check."""
    by_clock = spec.training.schedule if spec.training.trigger != "data" else None
    rows = f"{spec.training.minimum_new_rows} new rows" if spec.training.trigger != "schedule" else None
    return " or ".join(filter(None, [by_clock, rows])) or "when asked"
