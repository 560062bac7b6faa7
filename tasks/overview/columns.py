"""Columns then and now, from what a drift check keeps of them: bars, laid out; a pure function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tasks.contracts import ColumnShares
from tasks.overview.axes import Axis
from tasks.overview.shapes import part, parts
from tasks.overview.words import Tone
from tasks.percent import percent
from tasks.provenance.numbers import tell_number

WIDTH, HEIGHT = 320.0, 120.0
LEFT, RIGHT, TOP, BOTTOM = 8.0, 8.0, 6.0, 22.0
NAMES, ROW = 110.0, 26.0
LETTERS = 17
LEVELS: dict[str, Tone] = {"incident": "bad", "alarm": "bad", "suspicious": "warn", "note": "calm"}
NOT_KEPT = "How the columns were distributed was not kept by checks before this version of Perennial."
NOTHING = "This check had nothing to compare column by column: no rows, or no column that can be counted."


@dataclass(frozen=True)
class Bar:
    """A share then (filled) and now (an outline): where they begin on an axis, and how long they are."""

    place: float
    width: float
    then: float
    now: float
    label: str
    told: str


@dataclass(frozen=True)
class Column:
    """One column then and now.

    Attributes:
        level: The gravest of what was noticed about it; empty where nothing was.
        bars: Upright ones for the ranges of a number, lying ones for a category's values.
        ticks: Where what stands below a number's ranges.
        facts, table: What changed in words: name, then, now.
    """

    name: str
    kind: str
    level: str
    tone: Tone
    says: tuple[str, ...]
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str, str], ...]
    facts: tuple[tuple[str, str, str], ...]
    table: tuple[tuple[str, str, str], ...]
    height: float
    width: float = WIDTH
    left: float = NAMES
    base: float = HEIGHT - BOTTOM


def columns_of(known: Mapping[str, Any]) -> tuple[tuple[Column, ...], str]:
    """The columns of a drift check as it kept them, and why there are none.

    Args:
        known: The evidence of its entry.
    """
    kept = known.get("distributions")
    if kept is None:
        return (), NOT_KEPT
    try:
        shares = TypeAdapter(tuple[ColumnShares, ...]).validate_python(kept)
    except ValidationError:
        return (), NOT_KEPT
    signals = parts(part(known, "decision"), "signals")
    return tuple(_column(each, signals) for each in shares), "" if shares else NOTHING


def _column(kept: ColumnShares, signals: Sequence[Mapping[str, Any]]) -> Column:
    own = [each for each in signals if each.get("subject") == kept.column]
    level = next((level for level in LEVELS if level in [each.get("level") for each in own]), "")
    named = [*zip(kept.labels, kept.shares, strict=False)]
    if kept.kind == "category":
        rest = (("all others", kept.others), ("new values", kept.new))
        named += [(name, pair) for name, pair in rest if pair is not None and any(pair)]
    upright = kept.kind == "number"
    return Column(
        name=kept.column,
        kind=kept.kind,
        level=level,
        tone=LEVELS.get(level, "calm"),
        says=tuple(str(each.get("why", "")) for each in own),
        bars=tuple(_upright(named, kept.places) if upright else _lying(named)),
        ticks=_ticks(kept) if upright else (),
        facts=tuple(_facts(kept)),
        table=tuple((name, percent(then), percent(now)) for name, (then, now) in named),
        height=HEIGHT if upright else max(len(named), 1) * ROW + 4,
    )


Named = Sequence[tuple[str, tuple[float, float]]]


def _upright(named: Named, places: Sequence[float]) -> list[Bar]:
    """The area of a bar is its share where ranges are drawn to scale, else its height is."""
    ends = places if _fit(named, places) else [float(number) for number in range(len(named) + 1)]
    x = Axis(ends[0], ends[-1], LEFT, WIDTH - RIGHT)
    widths = [high - low for low, high in pairwise(ends)]
    heights = [(then / width, now / width) for (_, (then, now)), width in zip(named, widths, strict=True)]
    y = Axis(
        0.0, max((each for pair in heights for each in pair), default=0.0) or 1.0, 0.0, HEIGHT - BOTTOM - TOP
    )
    return [
        Bar(
            place=x.place(low),
            width=round(x.place(high) - x.place(low), 1),
            then=y.place(then),
            now=y.place(now),
            label=name,
            told=_told(name, pair),
        )
        for (name, pair), (then, now), (low, high) in zip(named, heights, pairwise(ends), strict=True)
    ]


def _fit(named: Named, places: Sequence[float]) -> bool:
    """Whether the places are those of the ranges, in order."""
    return len(places) == len(named) + 1 and all(low < high for low, high in pairwise(places))


def _lying(named: Named) -> list[Bar]:
    most = max((share for _, pair in named for share in pair), default=0.0) or 1.0
    x = Axis(0.0, most, 0.0, WIDTH - NAMES - RIGHT)
    return [
        Bar(
            place=number * ROW + 2,
            width=ROW - 6,
            then=x.place(then),
            now=x.place(now),
            label=name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…",
            told=_told(name, (then, now)),
        )
        for number, (name, (then, now)) in enumerate(named)
    ]


def _ticks(kept: ColumnShares) -> tuple[tuple[float, str, str], ...]:
    """What stands below the first range and below the last."""
    ends = (LEFT, WIDTH - RIGHT)
    if len(kept.places) > 1:
        first, last = (tell_number(each) for each in (kept.places[0], kept.places[-1]))
    elif len(kept.labels) > 1:
        first, last = kept.labels[0], kept.labels[-1]
    else:
        return ()
    return ((ends[0], first[:24], "start"), (ends[1], last[:24], "end"))


def _facts(kept: ColumnShares) -> list[tuple[str, str, str]]:
    pairs = [("Missing", kept.missing)]
    if kept.new is not None:
        pairs.append(
            ("Outside of the reference's range" if kept.kind == "number" else "New values", kept.new)
        )
    counted = ("Rows", *(f"{rows:,}" for rows in kept.rows))
    return [counted, *((name, percent(then), percent(now)) for name, (then, now) in pairs)]  # type: ignore[list-item]


def _told(name: str, pair: tuple[float, float]) -> str:
    return f"{name}: then {percent(pair[0])}, now {percent(pair[1])}"
