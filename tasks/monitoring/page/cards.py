"""Columns then and now: a card for each, from two profiles alone or with all windows between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.contracts import ColumnScale, Reference, Signal, WindowProfile
from tasks.monitoring.page.bars import Histogram, Rows, histogram, rows
from tasks.monitoring.page.lines import Asked, Chart, Limit, Line, Point, chart
from tasks.monitoring.page.shares import Pair, Shares, shares_of
from tasks.monitoring.page.words import number, percent, short

MOST_CARDS = 60
"""So many columns are drawn, the gravest first; the others are named."""

LEVELS = ("incident", "alarm", "suspicious", "note")
KINDS = {"number": "number", "category": "category", "time": "time"}


@dataclass(frozen=True)
class Card:
    """One column then and now.

    Attributes:
        level: The gravest of what was noticed about it; empty where nothing was.
        sentences: What was noticed, and what there is to know of it.
        facts: What changed, then and now, in words.
        trend: Missing and new values over the windows; None where there never are any.
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


def cards_of(
    reference: Reference,
    now: WindowProfile,
    windows: Sequence[WindowProfile] = (),
    signals: Sequence[Signal] = (),
) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    """The columns with their drawings, the gravest first, and the names of those that are too many to draw.

    Args:
        reference: The scales, the profile of all of its rows, and of its days where it has any.
        now: The window, or file, that is looked at, on the same scales.
        windows: All windows up to it, for what changes over time.
        signals: What was noticed, of any subject.
    """
    known = [scale for scale in reference.scales if scale.column in now.columns]
    noticed = {scale.column: _about(scale.column, signals) for scale in known}
    ordered = sorted(known, key=lambda scale: _rank(noticed[scale.column]))
    drawn = tuple(_card(scale, reference, now, windows, noticed[scale.column]) for scale in ordered[:MOST_CARDS])
    return drawn, tuple(short(scale.column) for scale in ordered[MOST_CARDS:])


def _about(column: str, signals: Sequence[Signal]) -> list[Signal]:
    return sorted((one for one in signals if one.subject == column), key=lambda one: LEVELS.index(one.level))


def _rank(noticed: Sequence[Signal]) -> int:
    return LEVELS.index(noticed[0].level) if noticed else len(LEVELS)


def _card(
    scale: ColumnScale,
    reference: Reference,
    now: WindowProfile,
    windows: Sequence[WindowProfile],
    noticed: Sequence[Signal],
) -> Card:
    shares = shares_of(scale, reference.whole, now, reference.days)
    pairs = (*shares.values, *((shares.new,) if shares.new else ()), shares.nulls)
    return Card(
        column=short(scale.column),
        kind=KINDS[scale.kind],
        level=noticed[0].level if noticed else "",
        sentences=tuple(signal.why for signal in noticed),
        facts=_facts(shares, scale, reference.whole, now),
        histogram=histogram(shares) if scale.kind == "number" else None,
        rows=rows(shares) if scale.kind == "category" else None,
        trend=_trend(shares, scale.column, windows),
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
        found.append(("Mean", *(number(mean) for mean in shares.means)))
    if scale.kind == "time":
        found.append(("From", short(before.least or "unknown", 40), short(after.least or "unknown", 40)))
        found.append(("Until", short(before.most or "unknown", 40), short(after.most or "unknown", 40)))
    else:
        found.append(("Different values, about", number(before.distinct), number(after.distinct)))
    return tuple(found)


def _trend(shares: Shares, column: str, windows: Sequence[WindowProfile]) -> Chart | None:
    """Missing and new values in window after window, where there are several windows and any such value."""
    held = [(window, window.columns[column]) for window in windows if column in window.columns and window.rows]
    lines = [
        Line("Missing", tuple(Point(window.start, own.nulls / window.rows) for window, own in held)),
        Line(
            shares.new.label if shares.new else "New values",
            tuple(Point(window.start, own.new / max(window.rows - own.nulls, 1)) for window, own in held),
        ),
    ]
    shown = [line for line in lines if any(point.value > 0 for point in line.points)]
    if len(held) < 2 or not shown:
        return None
    usual = [
        Limit(f"{pair.label}: most on nine of ten days", pair.high)
        for pair in (shares.nulls, shares.new)
        if pair is not None and pair.high is not None and pair.label in {line.name for line in shown}
    ]
    told = "The share of rows without a value, and of values that the reference does not have, in each window."
    asked = Asked("Missing and new values", told, shown, usual, unit="share", with_zero=True)
    return chart(asked)
