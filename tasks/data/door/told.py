"""What is said of labelled requests that are kept out of training: sentences for the people who decide."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from tasks.data.door.look_at import Looked


class Suspicious(NamedTuple):
    """A request that is to be held, what it is held for, and the sender and day that it is of.

    Attributes:
        reason: `out_of_distribution`, `flood` or `probing`; several are joined by a comma.
    """

    prediction_id: str
    reason: str
    looked: Looked


def held_name(sender: str | None) -> str:
    """A sender as commands and the ledger name it."""
    return f"sender:{sender or ''}"


def of_all(sender: str | None, own: Sequence[Suspicious]) -> str:
    """Every reason for which requests of one sender are held, with how many; the one of the most first."""
    by_reason: defaultdict[str, list[Suspicious]] = defaultdict(list)
    for each in own:
        for reason in each.reason.split(","):
            by_reason[reason].append(each)
    told = [f"{len(own)} labelled requests {_of(sender)} are kept out of training."]
    if sum(map(len, by_reason.values())) > len(own):
        told.append("Some are for more than one reason.")
    reasons = sorted(by_reason, key=lambda name: (-len(by_reason[name]), name))
    return " ".join([*told, *(_of_reason(reason, by_reason[reason]) for reason in reasons)])


def of_one(each: Suspicious) -> str:
    """Why one request is held."""
    return " ".join(_why(reason, each) for reason in each.reason.split(","))


def _of_reason(reason: str, own: Sequence[Suspicious]) -> str:
    by_day: defaultdict[object, list[Suspicious]] = defaultdict(list)
    for each in own:
        by_day[each.looked.measured.day].append(each)
    worst = max(by_day.values(), key=len)
    over = f" over {len(by_day)} days, {len(worst)} of them on the worst" if len(by_day) > 1 else ""
    return f"{len(own)} for {reason}{over}: {_why(reason, worst[0])}"


def _why(reason: str, each: Suspicious) -> str:
    day = each.looked.measured
    on = f"of the {day.requests} labelled requests {_of(day.sender)} on {day.day:%Y-%m-%d}"
    if reason == "out_of_distribution":
        return f"{day.far} {on} are far from what the champion was trained on: {day.example}"
    crowd, said = {
        "flood": (day.flood, "say nearly the same"),
        "probing": (day.probing, "are equal in all fields but one, which has another value in each"),
    }[reason]
    usual = f"in as many rows of the reference at most {crowd.ordinary:.0f} do"
    return f"{crowd.largest} {on} {said}, and {usual}."


def _of(sender: str | None) -> str:
    return "without a token" if sender is None else f"of the sender {sender!r}"
