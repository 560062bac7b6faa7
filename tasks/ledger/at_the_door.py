"""Labelled requests that are held at the door and that nobody has decided on, by the ledger's entries."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.contracts import Action, LedgerEntry
from tasks.contracts.door import OF_SENDER, in_words


@dataclass(frozen=True)
class HeldOfSender:
    """What of one sender waits for a person's word.

    Attributes:
        subject: The sender as commands name it: `sender:` and the name of its token.
        rows: How many requests wait; None where the entry does not say.
        by_reason: The same by the reason that they are held for; empty before anybody decided on some.
        why: The entry's own sentence.
    """

    model: str
    subject: str
    rows: int | None
    by_reason: tuple[tuple[str, int], ...]
    entry: int
    why: str

    @property
    def sender(self) -> str:
        """The name of the token; empty for requests without one."""
        return self.subject.removeprefix(OF_SENDER)

    @property
    def named(self) -> str:
        """The sender as people read it."""
        return in_words(self.subject)

    @property
    def command(self) -> str:
        """What to type to decide on it."""
        return f'perennial decide {self.model} {shlex.quote(self.subject)} release --why "..."'


def undecided(entries: Iterable[LedgerEntry]) -> list[HeldOfSender]:
    """Of each sender, what its newest entry leaves waiting.

    Args:
        entries: A model's, oldest first.
    """
    newest = {each.before or "": each for each in entries if each.action == Action.DOOR}
    return [
        _held(subject, each)
        for subject, each in newest.items()
        if each.after == "held" or each.evidence.get("still_held")
    ]


def _held(subject: str, entry: LedgerEntry) -> HeldOfSender:
    rows = entry.evidence.get("still_held") or entry.evidence.get("rows")
    by_reason = tuple(sorted(entry.evidence.get("still_held_for", {}).items()))
    return HeldOfSender(
        entry.model, subject, None if rows is None else int(rows), by_reason, entry.sequence, entry.why
    )
