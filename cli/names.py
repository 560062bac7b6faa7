"""The models that a word may name, and the nearest one where somebody mistyped."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.place import Place


def names_here() -> list[str]:
    """The models of this project's folder."""
    from tasks.settings import settings

    return sorted(path.parent.name for path in settings().models.glob("*/pipeline.yaml"))


def complete(incomplete: str) -> list[str]:
    """What a shell proposes."""
    return [name for name in names_here() if name.startswith(incomplete)]


def known_names(place: "Place") -> list[str]:
    """Every model that the platform knows: of its project, and those that its ledger remembers."""
    if place.is_remote:
        dags = place.airflow.every("/dags", "dags", tags="train")
        return sorted(dag["dag_id"].removeprefix("train_") for dag in dags)
    return sorted({*names_here(), *place.models_in_ledger()})


def require_known(place: "Place", model: str) -> str:
    """Refuse a name that no model has, naming the nearest one.

    Raises:
        typer.BadParameter: The command then ends as one that was called wrongly.
    """
    return require_among(known_names(place), model)


def require_among(known: Sequence[str], model: str, hint: str = "MODEL") -> str:
    """Refuse a name that is none of `known`, naming the nearest one; `hint` is the word's part that it is.

    Raises:
        typer.BadParameter: The command then ends as one that was called wrongly.
    """
    if model in known:
        return model
    nearest = get_close_matches(model, known, n=1, cutoff=0.5)
    meant = f"Do you mean {nearest[0]}?" if nearest else f"There are: {', '.join(known) or 'none yet'}."
    raise typer.BadParameter(f"there is no model {model!r}. {meant}", param_hint=hint)


Model = Annotated[str, typer.Argument(metavar="MODEL", help="Its name.", autocompletion=complete)]
AnyModel = Annotated[
    str | None, typer.Argument(metavar="MODEL", help="Only this one.", autocompletion=complete)
]
