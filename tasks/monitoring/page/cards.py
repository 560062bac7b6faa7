"""Columns then and now: a card for each, from two profiles alone or with all windows between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.contracts import ColumnScale, Signal, WindowProfile
from tasks.monitoring.page.bars import Histogram, Rows, histogram, rows
from tasks.monitoring.page.lines import Asked, Chart, Limit, Line, Point, chart
from tasks.monitoring.page.shares import Pair, Shares, shares_of
from tasks.monitoring.page.words import number, percent, short

MOST_CARDS = 60
"""So many columns are drawn, the gravest first; the others are named."""

TREND_HEIGHT = 130.0
WORTH_DRAWING = 0.005
"""A share that never reaches this in any window is told as a number alone."""

LEVELS = ("incident", "alarm", "suspicious", "note")
KINDS = {"number": "number", "category": "category", "time": "time"}


@dataclass(frozen=True)
class Card:
    """One column then and now.

    Attributes:
        level: The gravest of what was noticed about it; empty where nothing was.
        sentences: What was noticed, and what there is to know of it.
        facts: What changed, then and now, in words.
        trend: Missing and new values over the windows; None where they are hardly any.
        table: Label, then, now, the days' band.
    """

    column: str
    kind: str
    level: str
    sentences: tuple[str, ...]
    facts: tuple[tuple[str, str, str], ...]
    histogram: Histogram | None
    rows: Rows | None
    trend: Chart | None
    table: tuple[tuple[str, str, str, str], ...] = field(default=())


@dataclass(frozen=True)
class Seen:
    """What the columns are drawn from; two profiles on the same scales are enough.

    Attributes:
        then, now: The profile of all rows of the reference, and of the window or file that is looked at.
        days: The reference's days that `now` is like; none where it has none.
        windows: All windows up to `now`, for what changes over time.
    """

    scales: Sequence[ColumnScale]
    then: WindowProfile
    now: WindowProfile
    days: Sequence[WindowProfile] = ()
    windows: Sequence[WindowProfile] = ()


def cards_of(
    seen: Seen, signals: Sequence[Signal] = (), left_out: Mapping[str, str] | None = None
) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    """The columns with their drawings, the gravest first, and the names of those that are too many to draw.

    Args:
        signals: What was noticed, of any subject.
        left_out: Columns that are not followed, and why; they come last.
    """
    why = left_out or {}
    known = [scale for scale in seen.scales if scale.column in seen.now.columns]
    noticed = {scale.column: _about(scale.column, signals) for scale in known}
    ordered = sorted(known, key=lambda scale: (_rank(noticed[scale.column]), scale.column in why))
    drawn = tuple(
        _card(scale, seen, noticed[scale.column], why.get(scale.column, "")) for scale in ordered[:MOST_CARDS]
    )
    return drawn, tuple(short(scale.column) for scale in ordered[MOST_CARDS:])


def _about(column: str, signals: Sequence[Signal]) -> list[Signal]:
    return sorted((one for one in signals if one.subject == column), key=lambda one: LEVELS.index(one.level))


def _rank(noticed: Sequence[Signal]) -> int:
    return LEVELS.index(noticed[0].level) if noticed else len(LEVELS)


def _card(scale: ColumnScale, seen: Seen, noticed: Sequence[Signal], left_out: str) -> Card:
    shares = shares_of(scale, seen.then, seen.now, seen.days)
    pairs = [pair for pair in (*shares.values, shares.others, shares.new, shares.nulls) if pair is not None]
    return Card(
        column=short(scale.column),
        kind=KINDS[scale.kind],
        level=noticed[0].level if noticed else "",
        sentences=(
            *(signal.why for signal in noticed),
            *((f"Not followed: {left_out}",) if left_out else ()),
        ),
        facts=_facts(shares, scale, seen.then, seen.now),
        histogram=histogram(shares) if scale.kind == "number" else None,
        rows=rows(shares) if scale.kind == "category" else None,
        trend=_trend(shares, scale.column, seen.windows),
        table=tuple((pair.label, percent(pair.then), percent(pair.now), _band(pair)) for pair in pairs),
    )


def _band(pair: Pair) -> str:
    return "" if pair.low is None else f"{percent(pair.low)} to {percent(pair.high)}"


def _facts(
    shares: Shares, scale: ColumnScale, then: WindowProfile, now: WindowProfile
) -> tuple[tuple[str, str, str], ...]:
    """Name, then, now."""
    before, after = then.columns[scale.column], now.columns[scale.column]
    found = [("Missing", percent(shares.nulls.then), percent(shares.nulls.now))]
    if shares.new is not None:
        found.append((shares.new.label, percent(shares.new.then), percent(shares.new.now)))
    if shares.means is not None:
        found.append(("Mean", number(shares.means[0]), number(shares.means[1])))
    if scale.kind == "time":
        found.append(("From", short(before.least or "unknown", 40), short(after.least or "unknown", 40)))
        found.append(("Until", short(before.most or "unknown", 40), short(after.most or "unknown", 40)))
    else:
        found.append(("Different values, about", number(before.distinct), number(after.distinct)))
    return tuple(found)


def _trend(shares: Shares, column: str, windows: Sequence[WindowProfile]) -> Chart | None:
    """Missing and new values in window after window, where there are several windows and such values."""
    held = [
        (window, window.columns[column]) for window in windows if column in window.columns and window.rows
    ]
    lines = [
        Line("Missing", tuple(Point(window.start, own.nulls / window.rows) for window, own in held)),
        Line(
            shares.new.label if shares.new else "New values",
            tuple(Point(window.start, own.new / max(window.rows - own.nulls, 1)) for window, own in held),
        ),
    ]
    shown = [line for line in lines if any(point.value >= WORTH_DRAWING for point in line.points)]
    if len(held) < 2 or not shown:
        return None
    usual = [
        Limit(f"{pair.label}: usually at most", pair.high)
        for pair in (shares.nulls, shares.new)
        if pair is not None and pair.high and pair.label in {line.name for line in shown}
    ]
    told = (
        "The share of rows without a value, and of values that the reference does not have, in each window."
    )
    asked = Asked(
        "Missing and new values", told, shown, usual, unit="share", with_zero=True, height=TREND_HEIGHT
    )
    return chart(asked)
