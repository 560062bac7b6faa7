"""The ledger's part about a model, as a pack has it: its entries, the whole chain's hashes, and signed heads.

Entries of other models are not given away: of them there is the hash alone, to which the model's entries are
linked. What links those hashes to each other lies in the entries themselves; so each of the model's entries
has the head that was signed when it was written, where one was.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tasks.contracts import LedgerHead
from tasks.errors import LedgerBroken
from tasks.ledger import entries, heads
from tasks.ledger.signature import has_signature, is_signed
from tasks.ledger.verify import faults, verify
from tasks.stores.database import engine
from tasks.stores.database import ledger_entries as table


class LedgerPart(NamedTuple):
    """What a pack has of the ledger.

    Attributes:
        entries: Of the model, as their hashes cover them, oldest first.
        links: The hash of every entry of the ledger, from the first on.
        heads: Signed ones, of the model's entries and the newest.
    """

    entries: list[dict[str, Any]]
    links: list[str]
    heads: list[LedgerHead]


def ledger_part(model: str) -> LedgerPart:
    """The part about a model, of a ledger that is whole.

    Raises:
        LedgerBroken: It is not, so that nothing about it can be signed.
    """
    if found := faults(verify()):
        raise LedgerBroken(
            f"Nothing is packed of a ledger that is not whole: {found[0].why}",
            findings=[each.why for each in found],
        )
    links = entries.links()
    own = [entry for entry in _as_kept(model) if entry["sequence"] <= len(links)]
    return LedgerPart(own, [entry_hash for _, entry_hash in links], list(_heads(own, heads.recent()[-1:])))


def _as_kept(model: str) -> Iterator[dict[str, Any]]:
    query = entries.AS_KEPT.where(table.c.model == model).order_by(table.c.sequence)
    with engine().connect() as connection:
        for row in connection.execute(query):
            yield {**row._asdict(), "evidence": json.loads(row.evidence)}


def _heads(own: Iterable[dict[str, Any]], newest: list[tuple[int, str]]) -> Iterator[LedgerHead]:
    places = {*((entry["sequence"], entry["entry_hash"]) for entry in own), *newest}
    for place in sorted(places):
        head = heads.read(*place).head
        if head is not None and has_signature(head) and is_signed(head):
            yield head
