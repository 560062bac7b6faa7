"""`perennial why`: what led to an answer, a version, a run, a batch or what serves of a model."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.about import STANDARD_OUTPUT, About, explanation_of, write
from cli.app import AsJson, app, place_of
from cli.exits import BROKEN
from cli.times import short

if TYPE_CHECKING:
    from tasks.contracts import Explanation

RULES = ("RULE", "VERDICT", "VALUE", "THRESHOLD", "WHY")
DECISIONS = ("ENTRY", "AT", "DECISION", "BEFORE", "AFTER", "BY", "WHY")


@app.command()
def why(
    context: typer.Context,
    subject: About,
    *,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="All of it as one HTML file; - for standard output."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say why: what it came from, the gate's rules and intervals, and every decision that led to it.

    Ends with 6 where the ledger was altered, after it has told what it found.
    """
    found = explanation_of(place_of(context), " ".join(subject))
    if html:
        from tasks.provenance.page import page

        write(html, page(found).encode("utf-8", "backslashreplace"))
        if html != STANDARD_OUTPUT:
            show.tell(f"Written to {html}.")
    elif json:
        show.as_json(found)
    else:
        _print(found)
    if found.broken_entries:
        raise typer.Exit(BROKEN)


def _print(found: "Explanation") -> None:
    from tasks.provenance.numbers import tell_number

    for sentence in found.why:
        typer.echo(sentence)
    rules = found.gate.rules if found.gate else ()
    if rules:
        typer.echo()
        rows = [
            (
                rule.rule,
                "passed" if rule.passed else rule.blocks,
                tell_number(rule.value),
                tell_number(rule.threshold),
                rule.why,
            )
            for rule in rules
        ]
        show.table(RULES, rows, nothing="")
    if found.decisions:
        typer.echo()
        entries = [
            (each.sequence, short(each.at), each.action, each.before, each.after, each.actor, each.why)
            for each in found.decisions
        ]
        show.table(DECISIONS, entries, nothing="")
    notes = [*(found.lineage.notes if found.lineage else ()), *(found.usage.notes if found.usage else ())]
    for note in notes:
        show.trouble(f"Mind: {note}")
