"""Is the ledger what was written? Held against itself, and against its heads in the store and in MLflow."""

import time
from collections.abc import Iterable, Iterator

from tasks.contracts import Finding
from tasks.errors import LedgerBroken, MlflowRefused, ServiceAway
from tasks.ledger import entries, heads
from tasks.ledger.heads import Kept
from tasks.ledger.signature import can_sign, is_signed

NEWEST = 100
ONCE_MORE_SECONDS = 1.0
"""A writer has kept the head of its entry by then."""

RESTORE = "Compare the table `ledger` with a backup; docs/ledger.md says what may have happened."


def verify() -> list[Finding]:
    """Everything that is wrong with the ledger; empty for one that nobody touched.

    Raises:
        LedgerBroken: The table lacks a column, so that no entry can be read.
        InvalidSettings: PERENNIAL_LEDGER_KEY is no key.
    """
    broken = [
        Finding(kind="entry", sequence=number, why=_broken(number)) for number in entries.broken_entries()
    ]
    chain = dict(entries.links())
    return [*broken, *_of_key(chain), *_of_store(chain), *_of_mlflow(chain)]


def verify_end() -> list[Finding]:
    """What is wrong with the newest entries, and with the heads in the store: a look that every `status` can
    afford. An entry that joins meanwhile is no finding: what is found is looked at once more.
    """
    found = _of_end()
    if found:
        time.sleep(ONCE_MORE_SECONDS)
        found = _of_end()
    return found


def _of_end() -> list[Finding]:
    broken = entries.broken_at_end(NEWEST)
    return [
        *(Finding(kind="entry", sequence=number, why=_broken(number)) for number in broken),
        *_of_store(dict(entries.links())),
    ]


def faults(found: list[Finding]) -> list[Finding]:
    """Those of the findings that say that something is wrong, and not only that it was not looked at."""
    return [finding for finding in found if finding.kind != "unchecked"]


def require_whole_end(elsewhere: Iterable[Kept] = ()) -> None:
    """Refuse to decide or act by a ledger whose end was cut off or written anew: one look into the store.

    Args:
        elsewhere: Further heads that are held against it.

    Raises:
        LedgerBroken: A head that this installation kept names an entry that is not there.
    """
    known = heads.names()
    while known and not _fits(*known[-1]):
        _require_not_ours(heads.read(*known.pop()))
    for kept in elsewhere:
        if kept.head is not None and not _fits(kept.head.sequence, kept.head.entry_hash):
            _require_not_ours(kept)


def _fits(sequence: int, entry_hash: str) -> bool:
    return entries.hash_of(sequence) == entry_hash


def _require_not_ours(kept: Kept) -> None:
    found = entries.hash_of(kept.head.sequence) if kept.head else None
    finding = _held_against(kept, {kept.head.sequence: found} if kept.head and found else {})
    if finding.kind != "head":
        raise LedgerBroken(f"{finding.why} Nothing is decided by it.", sequence=finding.sequence)


def _of_key(chain: dict[int, str]) -> Iterator[Finding]:
    if chain and not can_sign():
        yield Finding(
            kind="unchecked",
            sequence=None,
            why="PERENNIAL_LEDGER_KEY is not set, so nobody can say who signed the ledger's heads. Point the "
            'shell to the platform (eval "$(make -s env)"), or set the key.',
        )


def _of_store(chain: dict[int, str]) -> Iterator[Finding]:
    known, last = heads.names(), max(chain, default=0)
    if chain and not known:
        yield Finding(
            kind="head", sequence=None, why=f"No head of the ledger is kept in the store. {RESTORE}"
        )
    for sequence, entry_hash in known:
        if chain.get(sequence) != entry_hash:
            yield _held_against(heads.read(sequence, entry_hash), chain)
    true = [sequence for sequence, entry_hash in known if chain.get(sequence) == entry_hash]
    if true:
        newest = heads.read(true[-1], chain[true[-1]])
        if newest.head is None or not is_signed(newest.head):
            yield _not_ours(newest)
        if true[-1] < last:
            yield Finding(kind="uncovered", sequence=last, why=_uncovered(true[-1], last))


def _of_mlflow(chain: dict[int, str]) -> Iterator[Finding]:
    try:
        kept = list(heads.in_mlflow())
    except (ServiceAway, MlflowRefused) as error:
        yield Finding(kind="unchecked", sequence=None, why=f"The heads in MLflow were not looked at. {error}")
        return
    for each in kept:
        if each.head is None or not is_signed(each.head):
            yield _not_ours(each)
        elif chain.get(each.head.sequence) != each.head.entry_hash:
            yield _held_against(each, chain)


def _held_against(kept: Kept, chain: dict[int, str]) -> Finding:
    """What a head says of a chain that it does not fit."""
    head = kept.head
    if head is None or not is_signed(head):
        return _not_ours(kept)
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


def _not_ours(kept: Kept) -> Finding:
    why = (
        f"{kept.where} is no head that this installation signed: somebody changed it, or the key "
        "PERENNIAL_LEDGER_KEY is another one since."
    )
    return Finding(kind="head", sequence=kept.head.sequence if kept.head else None, why=why)


def _uncovered(head: int, last: int) -> str:
    return (
        f"The ledger's newest head names entry {head}, but there are entries up to {last}: their writer was "
        "killed before it kept the head, or they were not written by Perennial. Look at them."
    )


def _broken(number: int) -> str:
    return f"Entry {number} of the ledger is changed, missing or does not follow the one before. {RESTORE}"
