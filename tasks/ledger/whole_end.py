"""May anything follow the ledger's newest entry? Its end is held against the heads kept elsewhere."""

import time
from collections.abc import Callable, Iterable

from tasks.contracts import Finding
from tasks.errors import LedgerBroken
from tasks.ledger import heads
from tasks.ledger.heads import Kept
from tasks.ledger.signature import can_sign, has_signature, is_signed

RESTORE = "Compare the table `ledger` with a backup; docs/ledger.md says what may have happened."
GO_ON = (
    "If you know why (the key is new or another one, the store was lost), say so and it goes on: python -m "
    "tasks.ledger.restored --why (docs/ledger.md)."
)
NO_KEY = (
    "PERENNIAL_LEDGER_KEY is not set, so nobody can say who signed the ledger's heads. Point the shell to "
    'the platform (eval "$(make -s env)"), or set the key.'
)
FIRST_HEAD_SECONDS = 2.0
"""For how long the first head of all is waited for, which another process may be writing."""

HashOf = Callable[[int], str | None]
"""The hash of the entry with a number, None where there is none."""


def require_whole_end(hash_of: HashOf, elsewhere: Iterable[Kept] = ()) -> None:
    """Refuse to go on with a ledger whose end was cut off or written anew: one look into the store.

    Where this process has the key, the newest head has to be signed with it. Without the key only this is
    seen: that it does not fit its own signature, or has none although a head before it has one.

    Raises:
        LedgerBroken: A head that this installation kept names an entry that is not there, nobody signed the
            newest head, or there is none.
    """
    known = heads.recent()
    if known and hash_of(known[-1][0]) != known[-1][1]:
        known = heads.names()  # what lies before it may be in any folder
    while known and hash_of(known[-1][0]) != known[-1][1]:
        _require_not_ours(heads.read(*known.pop()), hash_of)
    for kept in elsewhere:
        if kept.head is not None and hash_of(kept.head.sequence) != kept.head.entry_hash:
            _require_not_ours(kept, hash_of)
    if known:
        _require_signed(known)
    elif can_sign():
        _require_first_head(hash_of)


def is_proven(known: list[tuple[int, str]]) -> bool:
    """Whether the last of these heads of the store is this installation's, as far as can be told here.

    Who has no key never keeps a head after a signed one: one without a signature there was put there.
    """
    newest = heads.read(*known[-1]).head
    if newest is None or not is_signed(newest):
        return False
    if has_signature(newest):
        return True
    others = {heads.first(), *known[-2:-1]} - {known[-1], None}
    before = (heads.read(*each).head for each in others if each)
    return not any(head is not None and has_signature(head) for head in before)


def held_against(kept: Kept, chain: dict[int, str]) -> Finding:
    """What a head says of a chain that it does not fit."""
    head = kept.head
    if head is None or not is_signed(head):
        return not_ours(kept)
    said = (
        f"On {head.at:%Y-%m-%d %H:%M:%S} UTC the ledger's entry {head.sequence} was {head.entry_hash[:12]}…"
    )
    if head.sequence > max(chain, default=0):
        why = (
            f"{said}, as {kept.where} says, but the ledger has no such entry: its end was cut off. {RESTORE}"
        )
        return Finding(kind="cut", sequence=head.sequence, why=why)
    found = chain.get(head.sequence, "missing")[:12]
    why = f"{said}, as {kept.where} says, but it is {found}… now: the ledger was written anew. {RESTORE}"
    return Finding(kind="rewritten", sequence=head.sequence, why=why)


def not_ours(kept: Kept) -> Finding:
    """What is said of a head that proves nothing."""
    why = (
        f"{kept.where} is no head that this installation signed: somebody changed it, or the key "
        "PERENNIAL_LEDGER_KEY is new, or another one since."
    )
    return Finding(kind="head", sequence=kept.head.sequence if kept.head else None, why=why)


def _require_not_ours(kept: Kept, hash_of: HashOf) -> None:
    found = hash_of(kept.head.sequence) if kept.head else None
    finding = held_against(kept, {kept.head.sequence: found} if kept.head and found else {})
    if finding.kind != "head":
        raise LedgerBroken(f"{finding.why} Nothing is decided by it.", sequence=finding.sequence)


def _require_signed(known: list[tuple[int, str]]) -> None:
    if not is_proven(known):
        finding = not_ours(heads.read(*known[-1]))
        raise LedgerBroken(
            f"{finding.why} It is the ledger's newest head, so the ledger may have been written anew, and "
            f"nothing is decided by it. {RESTORE} {GO_ON}",
            sequence=known[-1][0],
        )


def _require_first_head(hash_of: HashOf) -> None:
    """Only the first entry of all may have no head: its writer was killed before it kept one."""
    until = time.monotonic() + FIRST_HEAD_SECONDS
    while hash_of(2) is not None and not any(hash_of(number) == each for number, each in heads.names()):
        if time.monotonic() > until:
            raise LedgerBroken(
                "No head of the ledger is kept in the store, although it has entries and this installation "
                f"signs its heads: they were removed, and nothing is decided by it. {RESTORE} {GO_ON}"
            )
        time.sleep(0.05)
