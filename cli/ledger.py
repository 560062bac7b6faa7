"""`perennial ledger`: every automatic decision, and whether anybody touched the record."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.exits import BROKEN
from cli.names import AnyModel, require_known
from cli.times import short

if TYPE_CHECKING:
    from cli.place import Place
    from tasks.contracts import LedgerEntry

COLUMNS = ("ENTRY", "AT", "MODEL", "DECISION", "BEFORE", "AFTER", "BY", "WHY")


@app.command()
def ledger(
    context: typer.Context,
    model: AnyModel = None,
    *,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Check every entry; ends with 6 where one was changed or removed."),
    ] = False,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="Only the newest; 0 for all.")] = 0,
    json: AsJson = False,
) -> None:
    """Show who decided what, when and why, oldest first; check that nobody touched it."""
    place = place_of(context)
    if not place.runs and place.has_ledger_here:
        show.tell("No platform of this clone runs. This is the ledger that the last one left.")
    faults, unchecked = place.verify() if verify else ([], [])
    found = _readable(place, model, expected=not faults)[-last:]
    if model and not found:  # an entry on files names their table
        require_known(place, model)
    if json:
        told = {"verified": not faults if verify else None, "faults": faults, "unchecked": unchecked}
        show.as_json({**told, "entries": found})
    else:
        _print(found)
    for each in unchecked:
        show.tell(f"Not checked: {each}")
    for fault in faults:
        show.trouble(fault)
    if faults:
        raise typer.Exit(BROKEN)
    if verify:
        show.tell("Every entry of the ledger is whole and linked to the one before.")


def _readable(place: "Place", model: str | None, *, expected: bool) -> "list[LedgerEntry]":
    """The entries; none where they cannot be read and that is told already."""
    from tasks.errors import LedgerBroken

    try:
        return place.history(model)
    except LedgerBroken:
        if expected:
            raise
        return []


def _print(found: "list[LedgerEntry]") -> None:
    from tasks.contracts.door import in_words

    rows = [
        (
            each.sequence,
            short(each.at),
            each.model,
            each.action,
            each.before and in_words(each.before),
            each.after,
            each.actor,
            each.why,
        )
        for each in found
    ]
    show.table(COLUMNS, rows, nothing="The ledger is empty: nothing was decided yet.")
