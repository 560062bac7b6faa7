"""A column then and now as bars: upright for a number, lying for a category."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tasks.monitoring.page.axes import Axis
from tasks.monitoring.page.shares import Pair, Shares
from tasks.monitoring.page.words import percent, short, tick

WIDTH, HEIGHT = 440.0, 180.0
LEFT, RIGHT, TOP, BOTTOM = 10.0, 10.0, 10.0, 26.0
ROW, NAMES, VALUES = 32.0, 128.0, 62.0
NAME_LETTERS = 18
HIDES = 3.0
"""All other values together are not drawn where they have so many times what the largest value has: their bar
would hide all others."""


@dataclass(frozen=True)
class Upright:
    """The bar of one range of a number: where it ends in the reference, and on its days."""

    x: float
    width: float
    y: float
    low: float | None
    high: float | None
    told: str


@dataclass(frozen=True)
class Histogram:
    """A number: the reference as bars, the window as an outline over them."""

    bars: tuple[Upright, ...]
    outline: str
    ticks: tuple[tuple[float, str, str], ...]
    to_scale: bool
    has_band: bool
    width: float = WIDTH
    height: float = HEIGHT
    base: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Lying:
    """The bars of one of a category's values."""

    y: float
    label: str
    then: float
    now: float
    low: float | None
    high: float | None
    told_then: str
    told_now: str
    told: str


@dataclass(frozen=True)
class Rows:
    """A category: for each value the reference's bar over the window's."""

    rows: tuple[Lying, ...]
    has_band: bool
    height: float
    width: float = WIDTH
    left: float = NAMES
    right: float = WIDTH - VALUES


def histogram(shares: Shares) -> Histogram | None:
    """A number's bars; None where it has no value at all."""
    pairs, to_scale = shares.values, bool(shares.places)
    if not any(_filled(pair) for pair in pairs):
        return None
    places = shares.places or tuple(float(number) for number in range(len(pairs) + 1))
    x = Axis(places[0], places[-1], LEFT, WIDTH - RIGHT)
    # The area of a bar is its share: where ranges differ in width, its height is the share by the width.
    widths = [(high - low) if to_scale else 1.0 for low, high in pairwise(places)]
    heights = [
        [_known(share) / width for share in (pair.then, pair.now, pair.low or 0.0, pair.high or 0.0)]
        for pair, width in zip(pairs, widths, strict=True)
    ]
    y = Axis(0.0, max(max(own) for own in heights) * 1.06, HEIGHT - BOTTOM, TOP)
    bars = tuple(
        _upright(pair, own, (x.place(low), x.place(high)), y)
        for pair, own, low, high in zip(pairs, heights, places, places[1:], strict=False)
    )
    outline = _outline(bars, [y.place(own[1]) for own in heights], y.place(0.0))
    ticks = _scale_ticks(x) if to_scale else _named_ticks(pairs, x)
    return Histogram(bars, outline, ticks, to_scale, any(pair.low is not None for pair in pairs))


def _upright(pair: Pair, heights: Sequence[float], ends: tuple[float, float], y: Axis) -> Upright:
    known = pair.low is not None
    return Upright(
        x=ends[0],
        width=round(ends[1] - ends[0], 1),
        y=y.place(heights[0]),
        low=y.place(heights[2]) if known else None,
        high=y.place(heights[3]) if known else None,
        told=tell(pair),
    )


def _outline(bars: Sequence[Upright], tops: Sequence[float], base: float) -> str:
    steps = [f"M{bars[0].x:g} {base:g}"]
    for bar, top in zip(bars, tops, strict=True):
        steps.append(f"V{top:g}H{bar.x + bar.width:g}")
    return "".join([*steps, f"V{base:g}"])


def _scale_ticks(x: Axis) -> tuple[tuple[float, str, str], ...]:
    return tuple((x.place(value), tick(value), "middle") for value in x.ticks())


def _named_ticks(pairs: Sequence[Pair], x: Axis) -> tuple[tuple[float, str, str], ...]:
    """Each range's name in the middle of its bar; of many only some, so that none covers another."""
    letters = max(len(pair.label) for pair in pairs)
    step = max(1, math.ceil(len(pairs) * (letters + 1) * 6.5 / (WIDTH - LEFT - RIGHT)))
    found = []
    for place in range(0, len(pairs), step):
        side = "start" if place == 0 and letters > 4 else "middle"
        found.append(
            (x.place(place if side == "start" else place + 0.5), short(pairs[place].label, 24), side)
        )
    if letters > 4 and len(found) > 1 and found[-1][0] > WIDTH - RIGHT - letters * 3.3:
        found[-1] = (WIDTH - RIGHT, found[-1][1], "end")
    return tuple(found)


def rows(shares: Shares) -> Rows | None:
    """A category's bars, with rows for all other and for new values; None where it has no value at all."""
    pairs = list(shares.values)
    if shares.others is not None and _most([shares.others]) <= HIDES * _most(pairs):
        pairs.append(shares.others)
    if shares.new is not None and _filled(shares.new):
        pairs.append(shares.new)
    if not any(_filled(pair) for pair in pairs):
        return None
    x = Axis(0.0, _most(pairs), NAMES, WIDTH - VALUES)
    drawn = tuple(_lying(pair, place * ROW, x) for place, pair in enumerate(pairs))
    return Rows(drawn, any(pair.low is not None for pair in pairs), len(pairs) * ROW + 4)


def _most(pairs: Sequence[Pair]) -> float:
    return max(
        (_known(share) for pair in pairs for share in (pair.then, pair.now, pair.high or 0.0)), default=0.0
    )


def _lying(pair: Pair, y: float, x: Axis) -> Lying:
    return Lying(
        y=y,
        label=short(pair.label, NAME_LETTERS),
        then=round(x.place(_known(pair.then)) - NAMES, 1),
        now=round(x.place(_known(pair.now)) - NAMES, 1),
        low=None if pair.low is None else x.place(pair.low),
        high=None if pair.high is None else x.place(pair.high),
        told_then=percent(pair.then),
        told_now=percent(pair.now),
        told=tell(pair),
    )


def tell(pair: Pair) -> str:
    """A share then and now in words."""
    band = "" if pair.low is None else f"; usually {percent(pair.low)} to {percent(pair.high)}"
    return f"{pair.label}: reference {percent(pair.then)}{band}; now {percent(pair.now)}"


def _known(share: float) -> float:
    return share if math.isfinite(share) else 0.0


def _filled(pair: Pair) -> bool:
    return _known(pair.then) + _known(pair.now) > 0
