"""Which of two versions is better on labels, once the declared number of them is there: a pure function of
counts, so that a report can be replayed from the ledger.

It is asked once, of a number of labels that was declared before the first came, so that the interval holds
what it says; who looks each day and stops when it pleases needs another test
(`tasks.release.sequential_test`).

Sources: Newcombe, Statistics in Medicine 17:873 (1998), method 10, for the difference of two shares; Welch,
Biometrika 34:28 (1947), for the difference of two means.
"""

from collections.abc import Iterable
from math import sqrt
from typing import Any, Literal

from scipy import stats

from tasks.contracts import Comparison, ComparisonReport, Labelled, LedgerEntry, Side

CONFIDENCE = 0.95
LEAST_A_SIDE = 30
"""Requests of each version: an interval of fewer says more of the method than of the version."""

Difference = tuple[float, float, float]


def sides_of(seen: Iterable[Labelled], comparison: Comparison, *, is_number: bool) -> tuple[Side, Side]:
    """The stable version's labelled answers and the candidate's: of those that were drawn, the first
    `comparison.labels`.

    An answer that a tester asked a version for by name was not drawn, and is left out.
    """
    losses: dict[str, list[tuple[float, float]]] = {"stable": [], "candidate": []}
    runs = {"stable": comparison.stable.run_id, "candidate": comparison.candidate.run_id}
    for each in seen:
        if each.role is None or runs[each.role] != each.run_id:
            continue
        loss = _loss(each, is_number=is_number)
        if loss is not None and sum(map(len, losses.values())) < comparison.labels:
            losses[each.role].append((loss, 1 / each.instances))
    return (
        _side(comparison.stable.model_version, losses["stable"]),
        _side(comparison.candidate.model_version, losses["candidate"]),
    )


def compare(comparison: Comparison, stable: Side, candidate: Side, *, is_number: bool) -> ComparisonReport:
    """What is said of the two; nothing of either before the declared number of labels is there."""
    labelled = stable.rows + candidate.rows
    if labelled < comparison.labels or min(_size(stable), _size(candidate)) < LEAST_A_SIDE:
        return ComparisonReport(
            comparison=comparison, reached=False, labelled=labelled, why=_waits(comparison, labelled)
        )
    value, low, high = (welch if is_number else newcombe)(candidate, stable)
    of: Literal["share wrong", "absolute error"] = "absolute error" if is_number else "share wrong"
    better = candidate.version if high < 0 else stable.version if low > 0 else None
    return ComparisonReport(
        comparison=comparison,
        reached=True,
        labelled=labelled,
        stable=stable,
        candidate=candidate,
        of=of,
        difference=value,
        low=low,
        high=high,
        better=better,
        why=_told(stable, candidate, (value, low, high), better, is_number=is_number),
    )


def replayed(entry: LedgerEntry) -> ComparisonReport:
    """What the report of an entry is, worked out anew from the counts that it holds."""
    said = ComparisonReport.model_validate(entry.evidence["report"])
    assert said.stable is not None and said.candidate is not None  # noqa: S101, PT018 - only reached ones are kept
    is_number = said.of == "absolute error"
    return compare(said.comparison, said.stable, said.candidate, is_number=is_number)


def newcombe(one: Side, other: Side) -> Difference:
    """The share of wrong answers of `one` less that of `other`, with its interval: it holds also where a
    share is near 0 or 1, as Wald's does not.
    """
    first, second = one.loss / _size(one), other.loss / _size(other)
    low, high = _wilson(one)
    other_low, other_high = _wilson(other)
    value = first - second
    below = sqrt((first - low) ** 2 + (other_high - second) ** 2)
    above = sqrt((high - first) ** 2 + (second - other_low) ** 2)
    return value, value - below, value + above


def welch(one: Side, other: Side) -> Difference:
    """The mean absolute error of `one` less that of `other`, with its interval; their spreads may differ."""
    value = one.loss / _size(one) - other.loss / _size(other)
    parts = [_variance(each) / _size(each) for each in (one, other)]
    spread = sum(parts)
    if spread == 0:
        return value, value, value
    freedom = spread**2 / sum(
        part**2 / (_size(each) - 1) for part, each in zip(parts, (one, other), strict=True)
    )
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * sqrt(spread)
    return value, value - reach, value + reach


def _wilson(side: Side) -> tuple[float, float]:
    """Wilson's interval, whose number of requests need not be whole."""
    size, z = _size(side), float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    middle = (side.loss + z**2 / 2) / (size + z**2)
    reach = z / (size + z**2) * sqrt(max(side.loss * (1 - side.loss / size), 0.0) + z**2 / 4)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def _variance(side: Side) -> float:
    return max(side.squares - side.loss**2 / _size(side), 0.0) / (_size(side) - 1)


def _side(version: str, losses: list[tuple[float, float]]) -> Side:
    """Of losses, each with its part of a request."""
    return Side(
        version=version,
        rows=len(losses),
        loss=sum(part * loss for loss, part in losses),
        squares=sum(part * loss * loss for loss, part in losses),
        requests=sum(part for _, part in losses),
    )


def _size(side: Side) -> float:
    """The interval rests on so many requests."""
    return side.rows if side.requests is None else side.requests


def _loss(each: Labelled, *, is_number: bool) -> float | None:
    """None of what has none."""
    if not is_number:
        return 0.0 if each.prediction == each.label else 1.0
    prediction, label = _number(each.prediction), _number(each.label)
    return None if prediction is None or label is None else abs(prediction - label)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _waits(comparison: Comparison, labelled: int) -> str:
    said = f"{labelled} of {comparison.labels} labelled answers are there."
    if labelled >= comparison.labels:
        few = f"fewer than {LEAST_A_SIDE} requests"
        return f"{said} One of the versions answered them in {few}: its share is too small."
    return f"{said} Nothing is said of the versions before."


def _told(
    stable: Side, candidate: Side, difference: Difference, better: str | None, *, is_number: bool
) -> str:
    value, low, high = difference
    if is_number:
        means = [f"{each.loss / _size(each):.4g} of {each.rows} answers" for each in (candidate, stable)]
        change, measure = f"{value:+.4g} [{low:+.4g}, {high:+.4g}]", "Mean absolute error"
    else:
        means = [f"{each.loss / _size(each):.2%} of {each.rows} answers" for each in (candidate, stable)]
        change, measure = f"{value:+.2%} [{low:+.2%}, {high:+.2%}]", "Share of wrong answers"
    verdict = f"Version {better} is better." if better else "Neither version is shown to be better."
    return (
        f"{measure}: version {candidate.version} {means[0]}, version {stable.version} {means[1]}; the "
        f"difference is {change} (95 % interval). {verdict}"
    )
