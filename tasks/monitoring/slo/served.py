"""What served when, and how old it was, by a model's entries of the ledger."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from tasks.contracts import Action, LedgerEntry
from tasks.monitoring.slo.decide import Served

TELLING = (Action.GATE, Action.DEPLOY, Action.ROLLBACK, Action.WITHDRAW)
"""The kinds of entries that say it."""


def served_by(told: Iterable[LedgerEntry], now: datetime) -> list[Served]:
    """What served until now, oldest first.

    Args:
        told: Of the kinds `TELLING`, oldest first. A version whose promotion is not among them counts as
            promoted when it first came to serve.
    """
    entries = list(told)
    promoted = _promotions(entries)
    switches = [each for each in entries if each.action != Action.GATE]
    return list(_spans(switches, promoted, now))


def _promotions(entries: Iterable[LedgerEntry]) -> dict[str, datetime]:
    """When each run was promoted, the first time."""
    promoted: dict[str, datetime] = {}
    for each in entries:
        if each.action == Action.GATE and each.after == "promote":
            promoted.setdefault(str(each.evidence.get("decision", {}).get("run_id")), each.at)
    return promoted


def _spans(switches: Sequence[LedgerEntry], promoted: dict[str, datetime], now: datetime) -> Iterator[Served]:
    ends = [*(after.at for _, after in pairwise(switches)), now]
    for switch, until in zip(switches, ends, strict=False):
        route = switch.evidence.get("route")
        if route and switch.after:
            run = str(route["run_id"])
            yield Served(switch.after, switch.at, until, promoted.setdefault(run, switch.at))
