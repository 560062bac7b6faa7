"""Is the ledger what was written? Held against itself, and against its heads in the store and in MLflow."""

import time
from collections.abc import Callable, Iterable, Iterator

from tasks.contracts import Finding
from tasks.errors import MlflowRefused, ServiceAway
from tasks.ledger import entries, heads, whole_end
from tasks.ledger.heads import Kept
from tasks.ledger.signature import can_sign, is_signed
from tasks.ledger.whole_end import NO_KEY, RESTORE, held_against, is_proven, not_ours

NEWEST = 100
ONCE_MORE_SECONDS = 1.0
"""A writer has kept the head of its entry by then."""


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
    return [*broken, *_of_key(chain), *_of_store(chain, heads.names()), *_of_mlflow(chain)]


def verify_end() -> list[Finding]:
    """What is wrong with the newest entries and the newest heads in the store: a look that every `status` can
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
        *_of_store(dict(entries.links()), heads.recent()),
    ]


def faults(found: list[Finding]) -> list[Finding]:
    """Those of the findings that say that something is wrong, and not only that it was not looked at."""
    return [finding for finding in found if finding.kind != "unchecked"]


def require_whole_end(elsewhere: Iterable[Kept] = (), say: Callable[[str], None] = print) -> None:
    """Refuse to decide or act by a ledger whose end was cut off or written anew: one look into the store.

    Args:
        elsewhere: Further heads that are held against it.
        say: Told what could not be checked here, a sentence.

    Raises:
        LedgerBroken: As `whole_end.require_whole_end`.
    """
    whole_end.require_whole_end(entries.hash_of, elsewhere)
    if not can_sign() and entries.newest():
        say(f"Not checked: {NO_KEY}")


def _of_key(chain: dict[int, str]) -> Iterator[Finding]:
    if chain and not can_sign():
        yield Finding(kind="unchecked", sequence=None, why=NO_KEY)


def _of_store(chain: dict[int, str], known: list[tuple[int, str]]) -> Iterator[Finding]:
    last = max(chain, default=0)
    if chain and not known:
        yield Finding(
            kind="head", sequence=None, why=f"No head of the ledger is kept in the store. {RESTORE}"
        )
    for sequence, entry_hash in known:
        if chain.get(sequence) != entry_hash:
            yield held_against(heads.read(sequence, entry_hash), chain)
    true = [each for each in known if chain.get(each[0]) == each[1]]
    if true:
        covered = true[-1][0]
        if not is_proven(true):
            yield not_ours(heads.read(*true[-1]))
        if covered < last:
            yield Finding(kind="uncovered", sequence=last, why=_uncovered(covered, last))


def _of_mlflow(chain: dict[int, str]) -> Iterator[Finding]:
    try:
        kept = list(heads.in_mlflow())
    except (ServiceAway, MlflowRefused) as error:
        yield Finding(kind="unchecked", sequence=None, why=f"The heads in MLflow were not looked at. {error}")
        return
    for each in kept:
        if each.head is None or not is_signed(each.head):
            yield not_ours(each)
        elif chain.get(each.head.sequence) != each.head.entry_hash:
            yield held_against(each, chain)


def _uncovered(head: int, last: int) -> str:
    return (
        f"The ledger's newest head names entry {head}, but there are entries up to {last}: their writer was "
        "killed before it kept the head or has no key to sign it with, or they were not written by "
        "Perennial. Look at them."
    )


def _broken(number: int) -> str:
    return f"Entry {number} of the ledger is changed, missing or does not follow the one before. {RESTORE}"
