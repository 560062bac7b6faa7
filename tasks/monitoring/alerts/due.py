"""What has to be told now: a pure function of the troubles, of what was told before, and of silences.

Something new or changed is told at once, what lasts is called to mind after a while, and what was told and is
over is told once more. What is silenced is not; when the silence ends and the trouble lasts, it is new.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tasks.contracts import LedgerEntry, Silence, Told, Trouble

SILENCED, ENDED = "silenced", "ended"
"""How an entry about a silence came out."""

Kind = Literal["new", "changed", "reminder", "resolved"]


@dataclass(frozen=True)
class Item:
    """One thing of a message.

    Attributes:
        trouble: None of one that is over.
        told: What was told of it before; None of a new one.
    """

    kind: Kind
    trouble: Trouble | None
    told: Told | None

    @property
    def known(self) -> Trouble | Told:
        """What is known of it: as it is, or as it was."""
        known = self.trouble or self.told
        if known is None:
            raise ValueError("an item is about something that is there, or that was told")
        return known


def due(
    troubles: Sequence[Trouble],
    told: Sequence[Told],
    silences: Sequence[Silence],
    now: datetime,
    remind_after: timedelta,
) -> list[Item]:
    """What a channel has to be told of one model now.

    Args:
        silences: Those that hold now.
    """
    before = {each.subject: each for each in told}
    there = {each.subject for each in troubles}
    audible = [each for each in troubles if not is_silenced(each, silences)]
    items = [_item(each, before.get(each.subject), now, remind_after) for each in audible]
    over = [each for each in told if each.subject not in there and not each.is_momentary]
    resolved = [Item("resolved", None, each) for each in over if not is_silenced(each, silences)]
    return [*filter(None, items), *resolved]


def forgotten(troubles: Iterable[Trouble], told: Iterable[Told], silences: Sequence[Silence]) -> list[str]:
    """The subjects that are over, or silenced, and need not be told as such: nothing of them is kept."""
    there = {each.subject: each for each in troubles}
    return [
        each.subject
        for each in told
        if is_silenced(there.get(each.subject, each), silences)
        or (each.subject not in there and each.is_momentary)
    ]


def is_silenced(told: Trouble | Told, silences: Iterable[Silence]) -> bool:
    """Whether one of these silences is about it."""
    return any(each.of in {None, told.reason} for each in silences)


def silences(written: Iterable[LedgerEntry], now: datetime) -> list[Silence]:
    """The silences that hold now, of a model's entries about them, newest first."""
    return list(_holding(written, now))


def _holding(written: Iterable[LedgerEntry], now: datetime) -> Iterator[Silence]:
    ended: set[str | None] = set()
    renewed: set[str | None] = set()
    for entry in written:
        of, days = entry.evidence.get("of"), entry.evidence.get("days")
        if ended & {None, of} or of in renewed:
            continue
        (renewed if entry.after == SILENCED else ended).add(of)
        if entry.after == SILENCED and days is not None and now < (until := entry.at + timedelta(days=days)):
            yield Silence(
                model=entry.model,
                of=of,
                by=entry.actor,
                why=entry.why,
                since=entry.at,
                until=until,
                entry=entry.sequence,
            )


def _item(trouble: Trouble, told: Told | None, now: datetime, remind_after: timedelta) -> Item | None:
    if told is None:
        return Item("new", trouble, None)
    if (trouble.reason, trouble.kinds) != (told.reason, told.kinds):
        return Item("changed", trouble, told)
    if not trouble.is_momentary and now - told.told_at >= remind_after:
        return Item("reminder", trouble, told)
    return None
