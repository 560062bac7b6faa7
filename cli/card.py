"""`perennial card`: the model card of a version."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.about import STANDARD_OUTPUT, require_records, write
from cli.app import AsJson, app, place_of
from cli.names import Model, require_known

if TYPE_CHECKING:
    from tasks.contracts import ModelCard, ModelVersion


@app.command()
def card(
    context: typer.Context,
    model: Model,
    version: Annotated[str | None, typer.Argument(help="Its number. Without one, the champion.")] = None,
    *,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="As one HTML file; - for standard output.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Show a version's model card: purpose, data, metrics, limits, fairness, explanations, lineage, cost.

    As Markdown; with the decisions about the version until now. One that has no card yet is told from the
    records, without explanations.
    """
    place = place_of(context)
    require_known(place, model)
    require_records(place)
    what = f"version {version}" if version else "the champion"
    with show.at_work(f"Gathering the records of {what} of {model} ...", json=json):
        from tasks.provenance.card import html_of, markdown_of

        found = card_of(model, version)
    if html:
        write(html, html_of(found).encode("utf-8", "backslashreplace"))
        if html != STANDARD_OUTPUT:
            show.tell(f"Written to {html}.")
    elif json:
        show.as_json(found)
    else:
        typer.echo(markdown_of(found).encode("utf-8", "backslashreplace").decode())


def card_of(model: str, number: str | None) -> "ModelCard":
    """The card that is kept, with the decisions since; made from the records where none is.

    Raises:
        InvalidRequest: There is no such version.
        RegistryError: MLflow does not answer, or Perennial did not register the version.
        InvalidProject: There is no card, and pipeline.yaml is missing or wrong.
    """
    from tasks.contracts import EnergyAssumptions
    from tasks.provenance.card import gather, kept
    from tasks.provenance.trace import spec_of
    from tasks.settings import settings

    version = version_of(model, number)
    found = kept.read(version.run_id)
    if found is not None:
        return gather.with_decisions_since(found, version)
    assumed = EnergyAssumptions.model_validate(settings().energy)
    return gather.gather(spec_of(model), version, assumed, ask=False)


def version_of(model: str, number: str | None) -> "ModelVersion":
    """A version by its number, or the champion.

    Raises:
        InvalidRequest: There is none.
        RegistryError: MLflow does not answer, or Perennial did not register it.
    """
    from tasks.errors import InvalidRequest
    from tasks.stores import registry

    if number:
        return registry.named_version(model, number)
    found = registry.champion(model)
    if found is None:
        known = ", ".join(registry.version_numbers(model)) or "none"
        raise InvalidRequest(f"No version of {model!r} is the champion. Name one of these: {known}.")
    return found
