"""Is a file a delivery of the same kind as a reference: its columns and types, nulls, ranges, units, times?

What may drift is let pass here, and told by the check of drift: another mean, another mix. What no ordinary
delivery does is refused: other columns, half of the values gone, miles that became kilometres.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tasks.contracts import Signal
from tasks.data.plain_rows import PlainRows
from tasks.monitoring.plain.columns import as_categories
from tasks.monitoring.plain.roles import MOST_CATEGORIES, roles_of
from tasks.monitoring.plain.sides import Pair, common_kinds, pair
from tasks.monitoring.plain.soundness import TIMES, days_of

Numbers = NDArray[np.float64]

NULLS_BEYOND = 0.10
"""New York's taxi trips lack a column's values in 0 % of one year's rows and 8 % of the next one's."""
BEYOND_RANGE = 0.05
RANGE_SHARE = 0.5
"""The range of a file reaches beyond the reference's by this share of its width, at most."""
UNKNOWN_SHARE = 0.5
FEWEST_ROWS = 30
ORDER_HELD, ORDER_BROKEN = 0.98, 0.8
"""Where so many rows of the reference have one column no larger than another, fewer than that of the file are
a fault: columns were exchanged, or have another unit.
"""
GAP_SPANS, GAP_DAYS = 2.0, 45.0
"""A file's time may be so many spans of the reference, or days, away from it."""
STRAYS = 0.02
UNITS = {
    1.609344: "miles became kilometres",
    1 / 1.609344: "kilometres became miles",
    2.20462: "kilograms became pounds",
    1 / 2.20462: "pounds became kilograms",
    3.28084: "metres became feet",
    1 / 3.28084: "feet became metres",
    2.54: "inches became centimetres",
    1 / 2.54: "centimetres became inches",
    60.0: "minutes became seconds",
    1 / 60: "seconds became minutes",
    3600.0: "hours became seconds",
    1 / 3600: "seconds became hours",
    10.0: "10 times",
    0.1: "a tenth",
    100.0: "100 times, as cents are",
    0.01: "a hundredth",
    1000.0: "1000 times",
    0.001: "a thousandth",
    1e6: "a million times",
    1e-6: "a millionth",
}
QUANTILES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
UNIT_TOLERANCE, SHAPE_TOLERANCE = 0.04, 0.06
"""Of the logarithm of the factor, and of its spread over the quantiles."""
SWAP_FAR, SWAP_NEAR = 0.5, 0.2
"""In standard deviations: from the own column of the reference, and from the other one's."""
MOST_COLUMNS = 40
"""Of a kind so many are compared with each other."""
MOST_LISTED = 30


def differences(file: PlainRows, reference: PlainRows) -> tuple[list[Signal], str | None]:
    """What no delivery like the reference has, and why that could not be fully judged."""
    found = list(_layout(file, reference))
    if not any(common_kinds([reference], file)):
        return found, "The two have no column in common."
    sides = pair([reference], file)
    found += [_incident("type", name, f"{name} {told}.") for name, told in sides.other_types.items()]
    found += list(_times(file, reference))
    few = min(sides.rows, sides.reference_rows)
    if few < FEWEST_ROWS:
        told = (
            f"{sides.rows} rows against {sides.reference_rows} of the reference are too few to compare "
            f"their values: at least {FEWEST_ROWS} are needed."
        )
        return found, told
    found += [signal for name in sides.kinds for signal in _nulls(name, sides)]
    found += list(_values(sides))
    found += list(_volume(sides))
    return found, None


def _incident(
    reason: str,
    subject: str,
    why: str,
    value: float | None = None,
    threshold: float | None = None,
    unit: str = "",
) -> Signal:
    return Signal(
        question="validity",
        reason=reason,
        subject=subject,
        level="incident",
        value=value,
        threshold=threshold,
        unit=unit,
        why=why,
    )


def _note(reason: str, subject: str, why: str) -> Signal:
    return Signal(question="validity", reason=reason, subject=subject, level="note", why=why)


def _layout(file: PlainRows, reference: PlainRows) -> Iterator[Signal]:
    lacking = [name for name in reference.kinds if name not in file.kinds]
    added = [name for name in file.kinds if name not in reference.kinds]
    if lacking:
        listed = _listed(lacking)
        yield _incident("columns", listed, f"The file lacks {listed}, which the reference has.")
    if added:
        listed = _listed(added)
        yield _incident("columns", listed, f"The file adds {listed}, which the reference does not have.")


def _listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _nulls(name: str, sides: Pair) -> Iterator[Signal]:
    before, now = float(sides.reference[name].isna().mean()), float(sides.current[name].isna().mean())
    own = int(sides.reference[name].isna().sum())
    limit = (
        stats.binomtest(own, len(sides.reference), alternative="less").proportion_ci(0.99).high + NULLS_BEYOND
    )
    told = f"{name}: {now:.1%} of the values are missing, {before:.1%} in the reference"
    if now > limit:
        yield _incident("nulls", name, f"{told}.", now, float(limit), "share of the rows")
    elif before - now > NULLS_BEYOND:
        yield _note("comes_alive", name, f"{told}: the column has come alive.")
    elif now > before + 0.01:
        yield _note("nulls", name, f"{told}.")


def _values(sides: Pair) -> Iterator[Signal]:
    roles = roles_of(sides.reference, sides.current, sides.kinds)
    numbers = [
        name
        for name, kind in sides.kinds.items()
        if kind in {"int64", "float64"} and name not in roles.left_out and sides.current[name].notna().any()
    ][:MOST_COLUMNS]
    units: set[str] = set()
    for name in numbers:
        own, now = (side[name].dropna().to_numpy(dtype=float) for side in (sides.reference, sides.current))
        if len(own) < FEWEST_ROWS or len(now) < FEWEST_ROWS:
            continue
        if told := _other_unit(own, now):
            units.add(name)
            yield _incident(
                "unit", name, f"{name}: the values are like the reference's in another unit ({told})."
            )
        elif roles.compared[name] != "category" and (signal := _out_of_range(name, own, now)):
            yield signal
        if signal := _frozen(name, own, now):
            yield signal
    yield from _swapped(sides, numbers)
    yield from _out_of_order(sides, [name for name in numbers if name not in units])
    for name in (name for name, role in roles.compared.items() if role == "category"):
        yield from _unknown(name, sides)


def _other_unit(own: Numbers, now: Numbers) -> str | None:
    """How the unit has changed: the quantiles are those of the reference, times a factor that units have."""
    if len(np.unique(own)) <= 20 or (own <= 0).mean() > 0.05 or (now <= 0).mean() > 0.05:
        return "degrees Celsius became Fahrenheit" if _is_fahrenheit(own, now) else None
    ratio = np.log(np.quantile(now[now > 0], QUANTILES) / np.quantile(own[own > 0], QUANTILES))
    if float(ratio.std()) > SHAPE_TOLERANCE:
        return "degrees Celsius became Fahrenheit" if _is_fahrenheit(own, now) else None
    factor = float(np.exp(np.median(ratio)))
    near = min(UNITS, key=lambda unit: abs(np.log(unit / factor)))
    if abs(np.log(near / factor)) > UNIT_TOLERANCE:
        return None
    return f"{factor:.3g} times; {UNITS[near]}"


def _is_fahrenheit(own: Numbers, now: Numbers) -> bool:
    before, after = np.quantile(own, QUANTILES), np.quantile(now, QUANTILES)
    expected = before * 1.8 + 32
    spread = float(expected.std()) or 1.0
    return len(np.unique(own)) > 20 and float(np.abs(after - expected).max()) < 0.15 * spread


def _out_of_range(name: str, own: Numbers, now: Numbers) -> Signal | None:
    low, high = float(own.min()), float(own.max())
    slack = RANGE_SHARE * (high - low)
    share = float(((now < low - slack) | (now > high + slack)).mean())
    if share <= BEYOND_RANGE or high == low:
        return None
    told = (
        f"{name}: {share:.1%} of the values lie far outside of the reference's, which are {low:.4g} to "
        f"{high:.4g} (now {now.min():.4g} to {now.max():.4g})."
    )
    return _incident("range", name, told, share, BEYOND_RANGE, "share of the rows")


def _frozen(name: str, own: Numbers, now: Numbers) -> Signal | None:
    """A number of many values that has but one now."""
    if len(np.unique(own)) <= 20 or len(np.unique(now)) > 1:
        return None
    return _incident(
        "frozen",
        name,
        (
            f"{name} is {now[0]:.4g} in all rows, and has {len(np.unique(own))} different values in "
            "the reference."
        ),
    )


def _swapped(sides: Pair, numbers: list[str]) -> Iterator[Signal]:
    """Two columns each of which is like the other one's reference, and not like its own."""
    apart = {(one, other): _apart(sides, one, other) for one in numbers for other in numbers}
    for place, one in enumerate(numbers):
        for other in numbers[place + 1 :]:
            own, crossed = (apart[one, one], apart[other, other]), (apart[one, other], apart[other, one])
            if min(own) > SWAP_FAR and max(crossed) < SWAP_NEAR:
                yield _incident(
                    "swapped",
                    f"{one}, {other}",
                    f"{one} and {other} are exchanged: each has the values of the other one.",
                )
    texts = [name for name, kind in sides.kinds.items() if kind == "string"][:MOST_COLUMNS]
    for place, one in enumerate(texts):
        for other in texts[place + 1 :]:
            if _hold_each_others(sides, one, other):
                yield _incident(
                    "swapped",
                    f"{one}, {other}",
                    f"{one} and {other} are exchanged: each has the values of the other one.",
                )


def _apart(sides: Pair, now: str, own: str) -> float:
    """How far a column of the file is from one of the reference, by quantiles in its standard deviations."""
    values = [side.dropna().to_numpy(dtype=float) for side in (sides.current[now], sides.reference[own])]
    if min(map(len, values)) < FEWEST_ROWS:
        return np.inf
    quantiles = [np.quantile(each, QUANTILES) for each in values]
    spread = float(np.quantile(values[1], 0.95) - np.quantile(values[1], 0.05)) / 3.3
    return float(np.abs(quantiles[0] - quantiles[1]).mean()) / (spread or float(values[1].std()) or 1.0)


def _hold_each_others(sides: Pair, one: str, other: str) -> bool:
    known = {name: set(sides.reference[name].dropna().unique()) for name in (one, other)}
    if not known[one] or not known[other] or max(map(len, known.values())) > MOST_CATEGORIES:
        return False
    held = {
        (now, own): float(sides.current[now].dropna().isin(known[own]).mean())
        if sides.current[now].notna().any()
        else 0.0
        for now in (one, other)
        for own in (one, other)
    }
    return max(held[one, one], held[other, other]) < 0.2 and min(held[one, other], held[other, one]) > 0.8


def _out_of_order(sides: Pair, numbers: list[str]) -> Iterator[Signal]:
    """Pairs of columns of which one is no larger than the other in nearly all rows of the reference."""
    times = [name for name, kind in sides.kinds.items() if kind in TIMES][:MOST_COLUMNS]
    for names in (numbers, times):
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                for low, high in ((one, other), (other, one)):
                    before, now = (_held(side, low, high) for side in (sides.reference, sides.current))
                    if (
                        before >= ORDER_HELD
                        and now < ORDER_BROKEN
                        and _held(sides.reference, high, low) < 0.9
                    ):
                        told = (
                            f"{low} is no larger than {high} in {now:.1%} of the rows, and in "
                            f"{before:.1%} of the reference's: are they exchanged, or of another unit?"
                        )
                        yield _incident(
                            "order", f"{low}, {high}", told, now, ORDER_BROKEN, "share of the rows"
                        )


def _held(rows: pd.DataFrame, low: str, high: str) -> float:
    both = rows[low].notna() & rows[high].notna()
    return float((rows[low][both] <= rows[high][both]).mean()) if both.sum() >= FEWEST_ROWS else np.nan


def _unknown(name: str, sides: Pair) -> Iterator[Signal]:
    own, now = sides.reference[name].dropna(), sides.current[name].dropna()
    if not len(now) or own.nunique() > 50 or len(own) < 100:
        return
    known = as_categories(own).unique()
    texts = as_categories(now)
    new = ~texts.isin(known)
    share = float(new.mean())
    if share > 0.01:
        listed = ", ".join(repr(str(value)[:30]) for value in texts[new].value_counts().index[:3])
        told = f"{name}: {share:.1%} of the values are unknown to the reference, such as {listed}."
        yield (
            _incident("unknown_values", name, told, share, UNKNOWN_SHARE, "share of the rows")
            if share > UNKNOWN_SHARE
            else _note("unknown_values", name, told)
        )


def _times(file: PlainRows, reference: PlainRows) -> Iterator[Signal]:
    """A file of another time: most of it lies far before or after the reference."""
    for name, kind in file.kinds.items():
        if kind not in TIMES or reference.kinds.get(name) not in TIMES:
            continue
        own, now = days_of(reference, name), days_of(file, name)
        if len(own) < FEWEST_ROWS or not len(now):
            continue
        low, high = np.quantile(own, [STRAYS, 1 - STRAYS])
        first, last = np.quantile(now, [STRAYS, 1 - STRAYS])
        gap = max(first - high, low - last, 0.0)
        most = max(GAP_SPANS * (high - low), GAP_DAYS)
        if gap > most:
            told = (
                f"{name} lies {gap:.0f} days {'after' if first > high else 'before'} the reference: "
                "it is a file of another time."
            )
            yield _incident("another_time", name, told, float(gap), float(most), "days")


def _volume(sides: Pair) -> Iterator[Signal]:
    times = sides.rows / max(sides.reference_rows, 1)
    if times < 0.6 or times > 1.7:
        yield _note(
            "volume", "rows", f"The file has {sides.rows} rows, {times:.2g} times as many as the reference."
        )
