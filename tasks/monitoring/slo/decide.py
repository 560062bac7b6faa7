"""How each objective stands: what was promised, what became of it, how much of its budget is left.

An objective allows a share of faults: that is its budget. A burn rate says how fast it is spent; 1 spends it
in exactly the objective's window. It is judged over a long and a short window at once: the long one keeps a
blip from alarming, the short one ends the alarm soon after the fault. Pure functions of what was counted.

Source: B. Beyer et al., The Site Reliability Workbook (2018), chapter 5, "Multiwindow, Multi-Burn-Rate
Alerts".
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tasks.contracts import Burning, BurnRate, Estimate, Kept, LabelledCounts, Objective, ObjectiveCounts
from tasks.contracts import WindowCounts as Counts
from tasks.percent import percent
from tasks.spec.slo import (
    AccuracyObjective,
    AvailabilityObjective,
    FreshnessObjective,
    LatencyObjective,
    SloSpec,
)

FEWEST_BAD = 3
"""Of a service that is seldom asked, one failed request is a large share; it warns of nothing by itself."""

DAY_SECONDS = 86_400.0


class Warn(NamedTuple):
    """When the budget is spent too fast: over both windows at such a rate that the long one alone would cost
    this share of the budget.
    """

    burning: Burning
    long_hours: float
    short_hours: float
    spends: float


WARNINGS = (
    Warn("fast", 1, 1 / 12, 0.02),
    Warn("fast", 6, 0.5, 0.05),
    Warn("slowly", 72, 6, 0.10),
)
"""Rates of 14.4, 6 and 1 for a window of 30 days, as the workbook recommends."""

HOURS = tuple(sorted({hours for each in WARNINGS for hours in (each.long_hours, each.short_hours)}))

Bad = Callable[[Counts], tuple[int, int]]
"""How many requests there were in a window, and how many of them broke the objective."""


class Served(NamedTuple):
    """One version that served, from `since` until before `until`, and when it was promoted."""

    version: str
    since: datetime
    until: datetime
    promoted_at: datetime


def windows_of(slo: SloSpec, now: datetime) -> list[datetime]:
    """Since when requests have to be counted, for all that `decide` asks."""
    asked = [each for each in (slo.availability, slo.latency) if each is not None]
    if not asked:
        return [now - timedelta(hours=HOURS[0])]
    whole = {now - timedelta(days=each.window_days) for each in asked}
    return sorted(whole | {now - timedelta(hours=hours) for hours in HOURS})


def decide(
    slo: SloSpec, counts: ObjectiveCounts, served: Sequence[Served], now: datetime
) -> tuple[Objective, ...]:
    """How each objective of a model stands.

    Args:
        counts: Of the windows that `windows_of` names for the same time.
        served: What served, oldest first; as far back as is known.
    """
    return tuple(_decided(slo, counts, served, now))


def troubled_since(
    objectives: Iterable[Objective], before: Iterable[Objective], now: datetime
) -> tuple[Objective, ...]:
    """The same with since when each is a trouble: as it was the last time, or else now."""
    known = {each.name: each.troubled_since for each in before if each.is_trouble}
    return tuple(
        each.model_copy(update={"troubled_since": (known.get(each.name) or now) if each.is_trouble else None})
        for each in objectives
    )


def _decided(
    slo: SloSpec, counts: ObjectiveCounts, served: Sequence[Served], now: datetime
) -> Iterator[Objective]:
    if slo.availability is not None:
        yield _availability(slo.availability, counts, now)
    if slo.latency is not None:
        yield _latency(slo.latency, counts, now)
    if slo.freshness is not None:
        yield _freshness(slo.freshness, served, now)
    if slo.accuracy is not None:
        yield _accuracy(slo.accuracy, counts.labelled)


def _availability(asked: AvailabilityObjective, counts: ObjectiveCounts, now: datetime) -> Objective:
    return _of_requests(
        counts,
        now,
        lambda seen: (seen.answered + seen.failed, seen.failed),
        Objective(
            name="availability",
            promise=f"{_exact(asked.share)} of the requests are answered",
            target=asked.share,
            window_days=asked.window_days,
            **UNSEEN,
        ),
        "were answered",
    )


def _latency(asked: LatencyObjective, counts: ObjectiveCounts, now: datetime) -> Objective:
    within = f"within {asked.seconds:g} s"
    return _of_requests(
        counts,
        now,
        lambda seen: (seen.answered, seen.slow),
        Objective(
            name="latency",
            promise=f"{_exact(asked.quantile)} of the answers come {within}",
            target=asked.quantile,
            window_days=asked.window_days,
            **UNSEEN,
        ),
        f"were answered {within}",
    )


UNSEEN = {
    "total": None,
    "good": None,
    "value": None,
    "budget_left": None,
    "burning": "no",
    "burns": (),
    "kept": "cannot_tell",
    "why": "",
}


def _of_requests(counts: ObjectiveCounts, now: datetime, bad: Bad, asked: Objective, did: str) -> Objective:
    total, failed = bad(_window(counts.windows, now, asked.window_days * 24))
    burns = tuple(_burns(counts.windows, now, bad, 1 - asked.target))
    if not total:
        return asked.model_copy(update={"burns": burns, "why": _nothing("request", asked)})
    share = (total - failed) / total
    burning = _burning(burns, asked.window_days * 24)
    return _stands(
        asked,
        total=total,
        good=total - failed,
        value=Estimate(value=share, low=share, high=share),
        burns=burns,
        burning=burning,
        seen=f"{_exact(share)} of {total} requests {did}",
    )


def _burns(windows: Sequence[Counts], now: datetime, bad: Bad, allowed: float) -> Iterator[BurnRate]:
    for hours in HOURS:
        total, failed = bad(_window(windows, now, hours))
        yield BurnRate(hours=hours, rate=failed / total / allowed if total else None, bad=failed)


def _burning(burns: Iterable[BurnRate], window_hours: float) -> Burning:
    by_hours = {each.hours: each for each in burns}
    for each in WARNINGS:
        limit = each.spends * window_hours / each.long_hours
        long, short = by_hours[each.long_hours], by_hours[each.short_hours]
        if long.bad >= FEWEST_BAD and (long.rate or 0) > limit and (short.rate or 0) > limit:
            return each.burning
    return "no"


def _freshness(asked: FreshnessObjective, served: Sequence[Served], now: datetime) -> Objective:
    begun, oldest = now - timedelta(days=asked.window_days), timedelta(days=asked.days)
    spans = [(max(each.since, begun), each.until, each.promoted_at + oldest) for each in served]
    total = sum(_seconds(since, until) for since, until, _ in spans)
    good = sum(_seconds(since, min(until, stale)) for since, until, stale in spans)
    unseen = Objective(
        name="freshness",
        promise=f"for {_exact(asked.share)} of the time the model is at most {asked.days:g} days old",
        target=asked.share,
        window_days=asked.window_days,
        **UNSEEN,
    )
    if not total:
        return unseen.model_copy(update={"why": f"No version served in the last {asked.window_days} days."})
    share = good / total
    age = (now - served[-1].promoted_at).total_seconds() / DAY_SECONDS
    now_serves = f"; what serves is {age:.1f} days old" if served[-1].until == now else "; none serves now"
    return _stands(
        unseen,
        total=total,
        good=good,
        value=Estimate(value=share, low=share, high=share),
        seen=f"{_exact(share)} of the time it was at most {asked.days:g} days old{now_serves}",
    )


def _accuracy(asked: AccuracyObjective, labelled: Sequence[LabelledCounts]) -> Objective:
    """By all versions together, for who asks is answered by whichever serves."""
    together = next((each for each in labelled if each.model_version is None), None)
    if asked.at_most is not None:
        return _error(asked, asked.at_most, together)
    target = asked.at_least or 0.0
    unseen = Objective(
        name="accuracy",
        promise=f"{_exact(target)} of the labelled answers are right",
        target=target,
        window_days=asked.window_days,
        **UNSEEN,
    )
    if together is None or together.right is None:
        return unseen.model_copy(update={"why": _nothing("labelled answer", unseen)})
    right = together.right
    between = f"{_exact(right.value)} [{_exact(right.low)}, {_exact(right.high)}]"
    stands = _stands(
        unseen,
        total=together.labelled,
        good=round(right.value * together.labelled),
        value=right,
        seen=f"{between} of {together.labelled} labelled answers were right",
    )
    return _by_interval(stands, is_missed=right.high < target, is_kept=right.low >= target)


def _error(asked: AccuracyObjective, most: float, together: LabelledCounts | None) -> Objective:
    unseen = Objective(
        name="accuracy",
        promise=f"the mean absolute error is at most {most:g}",
        target=most,
        window_days=asked.window_days,
        **UNSEEN,
    )
    if together is None or together.error is None:
        return unseen.model_copy(update={"why": _nothing("labelled number", unseen)})
    error = together.error
    left = 1 - error.value / most
    why = (
        f"The mean absolute error of {together.labelled} labelled answers was {error.value:.4g} "
        f"[{error.low:.4g}, {error.high:.4g}]. {_left(left, unseen)}"
    )
    seen = unseen.model_copy(
        update={"total": float(together.labelled), "value": error, "budget_left": left, "why": why}
    )
    return _by_interval(seen, is_missed=error.low > most, is_kept=error.high <= most)


def _by_interval(seen: Objective, *, is_missed: bool, is_kept: bool) -> Objective:
    """What rests on few labels is not told for certain."""
    if is_missed or is_kept:
        return seen.model_copy(update={"kept": "missed" if is_missed else "kept"})
    why = f"{seen.why} The interval holds the promise, so that more labels are needed to tell."
    return seen.model_copy(update={"kept": "cannot_tell", "why": why})


def _stands(
    asked: Objective,
    *,
    total: float,
    good: float,
    value: Estimate,
    seen: str,
    burns: tuple[BurnRate, ...] = (),
    burning: Burning = "no",
) -> Objective:
    left = 1 - (1 - value.value) / (1 - asked.target)
    kept: Kept = "missed" if left < 0 else "kept"
    fast = {"fast": " It is spent fast: look now.", "slowly": " It is spent too fast.", "no": ""}[burning]
    return asked.model_copy(
        update={
            "total": float(total),
            "good": float(good),
            "value": value,
            "budget_left": left,
            "burns": burns,
            "burning": burning,
            "kept": kept,
            "why": f"{seen[:1].upper()}{seen[1:]}. {_left(left, asked)}{fast}",
        }
    )


def _left(left: float, asked: Objective) -> str:
    if left < 0:
        return f"The budget of {asked.window_days} days is overspent: {-left:.0%} more than all of it."
    return f"{left:.0%} of the budget of {asked.window_days} days is left."


def _nothing(what: str, asked: Objective) -> str:
    return f"There was no {what} in the last {asked.window_days} days."


def _exact(share: float) -> str:
    """A share near 1 with the digits that tell it from 1, and one near 0 with those that tell it from 0."""
    told = f"{100 * share:.3f}".rstrip("0").rstrip(".")
    return percent(share) if told in {"0", "100"} else f"{told} %"


def _window(windows: Sequence[Counts], now: datetime, hours: float) -> Counts:
    begun = now - timedelta(hours=hours)
    return next(each for each in windows if each.since == begun)


def _seconds(since: datetime, until: datetime) -> float:
    return max(0.0, (until - since).total_seconds())
