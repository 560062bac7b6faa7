"""How a verdict on a plain file is told, and with which code the word ends."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.about import STANDARD_OUTPUT, write
from cli.exits import DONE, DRIFTED, REJECTED, UNDECIDED

if TYPE_CHECKING:
    from tasks.contracts import FileVerdict

Html = Annotated[
    str | None,
    typer.Option(
        "--html", metavar="PAGE", help="All of it as one HTML file that loads nothing; - for standard output."
    ),
]
CODES = {"fine": DONE, "drift": DRIFTED, "rejected": REJECTED, "cannot_tell": UNDECIDED}
SAID = {"fine": "Fine", "drift": "Drift", "rejected": "Rejected", "cannot_tell": "Cannot tell"}
MARKS = {"incident": "-", "alarm": "-", "suspicious": "-", "note": " "}


def require_one_output(html: str | None, *, as_json: bool) -> None:
    """Refuse a page and JSON in one stream, before anything is read.

    Raises:
        BadParameter: Both are asked for on standard output.
    """
    if as_json and html == STANDARD_OUTPUT:
        raise typer.BadParameter(
            "--html - and --json both write to standard output: name a file for the page, or leave one out."
        )


def tell_and_end(found: "FileVerdict", html: str | None, *, as_json: bool) -> None:
    """Print the verdict, the gravest reason first, write the page, and end."""
    if html:
        from tasks.monitoring.plain.page import page

        write(html, page(found).encode("utf-8", "backslashreplace"))
        if html != STANDARD_OUTPUT:
            show.tell(f"Written to {html}.")
    if as_json:
        show.as_json(found.model_dump(mode="json", exclude={"pictures"}))
    elif html != STANDARD_OUTPUT:
        _print(found)
    raise typer.Exit(CODES[found.verdict])


def _print(found: "FileVerdict") -> None:
    against = f" against {', '.join(found.references)}" if found.references else ""
    typer.echo(f"{SAID[found.verdict]}: {found.file}{against}. {found.why}")
    for signal in found.signals:
        if signal.why != found.why:
            typer.echo(f"{MARKS[signal.level]} {signal.why}")
    for each in found.performance:
        now, before = each.now, each.before
        typer.echo(
            f"  {each.source}: {now.name} {now.value:.4g} [{now.low:.4g}, {now.high:.4g}], "
            f"{before.value:.4g} [{before.low:.4g}, {before.high:.4g}] in the reference"
        )
