"""Go on with a ledger that its heads speak against: `python -m tasks.ledger.restored --why TEXT`.

Of one that was brought back from a backup, the heads in the store and in MLflow may name entries that came
after, as if its end had been cut off; where the key is new or another one, or the store was lost, no head is
signed with it. Nothing is decided then. Whoever knows why says so here: what the heads say is recorded as an
entry of its own, whose head is signed, and those that do not fit are set aside.
"""

import getpass
from typing import Annotated

import typer

from tasks.contracts import Action, LedgerEntry
from tasks.errors import LedgerBroken
from tasks.ledger import entries, heads
from tasks.ledger.whole_end import require_whole_end
from tasks.stores import registry


def accept(actor: str, why: str) -> LedgerEntry | None:
    """Go on with the ledger as it is; None where nothing speaks against it."""
    chain = dict(entries.links())
    aside = [
        (sequence, entry_hash) for sequence, entry_hash in heads.names() if chain.get(sequence) != entry_hash
    ]
    models = [model["name"] for model in registry.registered_models() if _differs(model, chain)]
    against = _speaks_against()
    if not (aside or models or against):
        return None
    evidence = {"heads_set_aside": aside, "heads_of_models": models, "entries": len(chain), "fault": against}
    entry = entries.in_turn(
        lambda connection: entries.append(
            connection,
            model="*",
            actor=actor,
            action=Action.RECONCILE,
            before=None,
            after="restored",
            why=why,
            evidence=evidence,
        ),
        whatever_the_heads_say=True,
    )
    for model in models:
        head = heads.made(entry.sequence, entry.entry_hash)
        registry.tag_model(model, heads.TAG, head.model_dump_json())
    for sequence, entry_hash in aside:
        heads.set_aside(sequence, entry_hash)
    return entry


def _speaks_against() -> str | None:
    try:
        require_whole_end(entries.hash_of)
    except LedgerBroken as error:
        return str(error)
    return None


def _differs(model: dict[str, object], chain: dict[int, str]) -> bool:
    found = (kept.head for kept in heads.of_models([model]))
    return any(head is None or chain.get(head.sequence) != head.entry_hash for head in found)


def main(
    why: Annotated[str, typer.Option(help="What was brought back or changed; the ledger keeps it.")],
) -> None:
    """Say why the ledger's heads speak against it (a backup was brought back, the key is new), and go on."""
    entry = accept(f"person:{getpass.getuser()}", why)
    if entry is None:
        typer.echo("Nothing speaks against the ledger; nothing was changed.")
    else:
        typer.echo(f"Recorded as entry {entry.sequence}. Heads that the ledger does not fit were set aside.")


if __name__ == "__main__":
    typer.run(main)
