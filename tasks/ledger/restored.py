"""Go on with a ledger that was brought back from a backup: `python -m tasks.ledger.restored --why TEXT`.

Its heads in the store and in MLflow may name entries that came after the backup, as if its end had been cut
off, and nothing is decided then. Whoever brought it back says so here: what the heads name is recorded as an
entry of its own, and they are set aside.
"""

import getpass
from typing import Annotated

import typer

from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries, heads
from tasks.stores import registry


def accept(actor: str, why: str) -> LedgerEntry | None:
    """Set the heads aside that the ledger does not fit; None where it fits all of them."""
    chain = dict(entries.links())
    aside = [
        (sequence, entry_hash) for sequence, entry_hash in heads.names() if chain.get(sequence) != entry_hash
    ]
    models = [model["name"] for model in registry.registered_models() if _differs(model, chain)]
    if not (aside or models):
        return None
    entry = entries.record(
        model="*",
        actor=actor,
        action=Action.RECONCILE,
        before=None,
        after="restored",
        why=why,
        evidence={"heads_set_aside": aside, "heads_of_models": models, "entries": len(chain)},
    )
    for model in models:
        head = heads.made(entry.sequence, entry.entry_hash)
        registry.tag_model(model, heads.TAG, head.model_dump_json())
    for sequence, entry_hash in aside:
        heads.set_aside(sequence, entry_hash)
    return entry


def _differs(model: dict[str, object], chain: dict[int, str]) -> bool:
    found = (kept.head for kept in heads.of_models([model]))
    return any(head is None or chain.get(head.sequence) != head.entry_hash for head in found)


def main(
    why: Annotated[str, typer.Option(help="What was brought back from which backup; the ledger keeps it.")],
) -> None:
    """Say that the ledger was brought back from a backup, so that it is gone on with."""
    entry = accept(f"person:{getpass.getuser()}", why)
    if entry is None:
        typer.echo("The ledger fits all of its heads; nothing was changed.")
    else:
        typer.echo(f"Recorded as entry {entry.sequence}. The heads that it does not fit were set aside.")


if __name__ == "__main__":
    typer.run(main)
