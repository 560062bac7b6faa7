"""`perennial ledger`: every automatic decision, and whether anybody touched the record."""

from typing import Annotated

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.names import AnyModel, require_known
from cli.times import short
from tasks.errors import LedgerBroken

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
    if model:
        require_known(place, model)
    broken = place.broken_entries() if verify else []
    if broken:
        raise LedgerBroken(
            f"The ledger is broken at {'entry' if len(broken) == 1 else 'the entries'} "
            f"{', '.join(map(str, broken))}: changed, wrongly linked, or the first of a gap. Compare the "
            "table `ledger` with a backup.",
            broken=broken,
        )
    found = place.history(model)[-last:]
    if json:
        show.as_json({"verified": verify, "entries": found})
        return
    rows = [
        (
            each.sequence,
            short(each.at),
            each.model,
            each.action,
            each.before,
            each.after,
            each.actor,
            each.why,
        )
        for each in found
    ]
    show.table(COLUMNS, rows, nothing="The ledger is empty: nothing was decided yet.")
    if verify:
        show.tell("Every entry of the ledger is whole and linked to the one before.")
