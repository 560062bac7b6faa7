"""Which questions are asked of a model's windows, and the share of the false alarms that each may give."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import sqrt

import numpy as np

from tasks.contracts import Sums, TargetReference, TargetSummary
from tasks.monitoring.target import measures, skill
from tasks.monitoring.target.detector import Detector, Measure
from tasks.monitoring.target.evidence import Measured
from tasks.monitoring.target.expectation import Known, between_of
from tasks.monitoring.target.gaps import gap_detectors
from tasks.spec import MonitorSpec, kind_of

TARGET_SHARE = 0.4
"""Of `false_alarms_per_year`; the rest is the input's."""
SHARES: Mapping[str, float] = {
    "performance": 0.3,
    "agreement": 0.1,
    "label_shares": 0.2,
    "prediction_shares": 0.15,
    "groups": 0.25,
}
"""What each family gets of it; that of a family which asks nothing goes to the others."""
RETAINED = 0.5
"""Of its agreement with labels, a model that is not compared with wrong ones keeps more."""
SURE_OF_ONE = 6.0
"""Where answers and labels have turned against each other, one window may tell."""
FEWEST_DAYS = 14
"""So many days of the validation part say what days are like; fewer give a mean alone."""
ASSUMED_SHARE = 0.02
"""The standard deviation between days of a share, before any is seen; of a number a tenth of its own."""


def families(
    windows: Sequence[TargetSummary], reference: TargetReference, rules: MonitorSpec
) -> dict[str, tuple[Detector, ...]]:
    """The detectors by their family."""
    return {
        "performance": (performance(windows, reference, rules),),
        "agreement": (_agreement(windows, reference),),
        "label_shares": tuple(_label_shares(windows, reference, rules)),
        "prediction_shares": tuple(_prediction_shares(windows, reference, rules)),
        "groups": gap_detectors(
            watched_of(windows, reference),
            {tally.column for each in windows for tally in each.groups},
            reference,
            rules,
        ),
    }


def alarms_a_year(found: Mapping[str, Sequence[Detector]], rules: MonitorSpec) -> dict[str, float]:
    """How many false alarms a year each detector of a family may give."""
    asked = {name: len(each) for name, each in found.items() if each}
    whole = sum(SHARES[name] for name in asked)
    budget = rules.false_alarms_per_year * TARGET_SHARE
    return {name: budget * SHARES[name] / whole / count for name, count in asked.items()}


def has_scores(windows: Sequence[TargetSummary]) -> bool:
    """Whether scores that are probabilities came with most answers."""
    scored = sum(sum(one.rows for one in each.bins) for each in windows)
    return bool(windows) and 2 * scored > sum(each.every.rows for each in windows)


def watched_of(windows: Sequence[TargetSummary], reference: TargetReference) -> str:
    return measures.watched(reference.primary_metric, reference.task, has_scores=has_scores(windows))


def performance(windows: Sequence[TargetSummary], reference: TargetReference, rules: MonitorSpec) -> Detector:
    """Is the model worse than when it was promoted, by more than `tolerance`?"""
    name = watched_of(windows, reference)
    known = measures.known(name, reference.metrics.get(name))
    usual = known.value if known else _first(partial(measures.loss, name), windows)
    floor = tolerance(name, usual, rules.tolerance)
    least = max(rules.tolerance, 0.01) if kind_of(name).is_share and name != "brier" else 0.1 * usual
    return Detector(
        reason="performance",
        subject=name,
        measure=partial(measures.loss, name),
        floor=floor,
        unit=max(floor, 0.05 * usual, 1e-9),
        known=known,
        assumed_between=max(least, 1e-9) ** 2,
    )


def tolerance(name: str, usual: float, allowed: float) -> float:
    """The tolerance in units of what is watched."""
    return (sqrt(max(usual, 0.0)) + allowed) ** 2 - usual if name == "rmse" else allowed


def _agreement(windows: Sequence[TargetSummary], reference: TargetReference) -> Detector:
    method = skill.method_of(reference, has_scores=has_scores(windows))
    return Detector(
        reason="agreement",
        subject=method,
        measure=partial(skill.unlike, method),
        floor=0.0,
        unit=0.1,
        known=skill.known(method, reference),
        assumed_between=0.05**2,
        keeps=RETAINED,
        most_errors=SURE_OF_ONE,
    )


def _label_shares(
    windows: Sequence[TargetSummary], reference: TargetReference, rules: MonitorSpec
) -> Iterator[Detector]:
    days = reference.label_days
    if reference.task == "regression":
        before = [day.numbers for day in days]
        spread = _spread(before) or _spread([each.every.sums.get("label", Sums()) for each in windows])
        yield from _of_numbers("label_mean", "label", before, spread, rules)
        return
    for name in _classes([day.labels for day in days] + [each.every.labels for each in windows], windows):
        for sign in (1, -1):
            counts = [(day.labels.get(name, 0), sum(day.labels.values())) for day in days]
            seen = [Measured(_signed(hits / rows, sign), rows) for hits, rows in counts if rows]
            yield _of_share("label_share", name, partial(_label_share, name, sign), seen, rules)


def _prediction_shares(
    windows: Sequence[TargetSummary], reference: TargetReference, rules: MonitorSpec
) -> Iterator[Detector]:
    """By the scores of a binary model, which move before its answers do (black-box shift estimation: Lipton,
    Wang and Smola, ICML 2018, looks at the answers).
    """
    if reference.task == "regression":
        spread = _spread([each.every.sums.get("prediction", Sums()) for each in windows])
        yield from _of_numbers("prediction_mean", "prediction", [], spread, rules)
    elif reference.task == "binary" and has_scores(windows):
        for sign in (1, -1):
            measure = partial(_mean_of, "score", sign)
            made = _of_share("score_mean", "score", measure, [], rules)
            yield replace(made, least_between=_seasons(reference, windows[-1].positive or ""))
    else:
        for name in _classes([each.every.predicted for each in windows], windows):
            for sign in (1, -1):
                measure = partial(_predicted_share, name, sign)
                made = _of_share("prediction_share", name, measure, [], rules)
                yield replace(made, least_between=_seasons(reference, name))


def _seasons(reference: TargetReference, name: str) -> float:
    """By how much the share of a label differs between the days of the validation part, as a variance.

    Answers follow labels through the seasons, of which a version's first windows have seen one.
    """
    seen = [(day.labels.get(name, 0), sum(day.labels.values())) for day in reference.label_days]
    known = [(hits, rows) for hits, rows in seen if rows]
    if len(known) < FEWEST_DAYS:
        return 0.0
    shares = np.array([hits / rows for hits, rows in known])
    variances = np.array([measures.share_variance(hits, rows) for hits, rows in known])
    return between_of(shares, variances, ASSUMED_SHARE**2)


def _of_share(
    reason: str, subject: str, measure: Measure, before: Sequence[Measured], rules: MonitorSpec
) -> Detector:
    floor = rules.share_floor
    known, days = _before(before, floor)
    return Detector(
        reason=reason,
        subject=subject,
        measure=measure,
        floor=floor,
        unit=max(floor / 2, 0.01),
        known=known,
        assumed_between=ASSUMED_SHARE**2,
        days=days,
    )


def _of_numbers(
    reason: str, name: str, before: Sequence[Sums], spread: float, rules: MonitorSpec
) -> Iterator[Detector]:
    scale = spread or 1e-9
    for sign in (1, -1):
        seen = [found for each in before if (found := measures.mean(each, sign)) is not None]
        known, days = _before(seen, rules.number_floor * scale)
        yield Detector(
            reason=reason,
            subject=name,
            measure=partial(_mean_of, name, sign),
            floor=rules.number_floor * scale,
            unit=max(rules.number_floor / 2, 0.05) * scale,
            known=known,
            assumed_between=(0.1 * scale) ** 2,
            days=days,
        )


def _before(seen: Sequence[Measured], floor: float) -> tuple[Known | None, tuple[Measured, ...]]:
    """The days of before, or where there are too few, their mean, which the first windows may move by the
    floor.
    """
    if len(seen) >= FEWEST_DAYS:
        return None, tuple(seen)
    rows = sum(each.rows for each in seen)
    if not rows:
        return None, ()
    center = sum(each.value * each.rows for each in seen) / rows
    variance = (
        center * (1 - center) if seen[0].variance is None else max(each.variance or 0 for each in seen) * rows
    )
    return Known(center, sqrt(max(variance, 1e-9) / rows), center - floor, center + floor), ()


def _classes(counts: Sequence[Mapping[str, int]], windows: Sequence[TargetSummary]) -> list[str]:
    """Of two classes the positive one, whose share says all."""
    names = sorted({name for each in counts for name in each})
    positive = windows[-1].positive if windows else None
    return [positive] if positive in names and len(names) == 2 else names


def _signed(share: float, sign: int) -> float:
    return share if sign > 0 else 1 - share


def _label_share(name: str, sign: int, seen: TargetSummary) -> Measured | None:
    rows = seen.every.labelled
    return Measured(_signed(seen.every.labels.get(name, 0) / rows, sign), rows) if rows else None


def _predicted_share(name: str, sign: int, seen: TargetSummary) -> Measured | None:
    rows = seen.every.rows
    return Measured(_signed(seen.every.predicted.get(name, 0) / rows, sign), rows) if rows else None


def _mean_of(name: str, sign: int, seen: TargetSummary) -> Measured | None:
    return measures.mean(seen.every.sums.get(name, Sums()), sign)


def _first(measure: Measure, windows: Sequence[TargetSummary]) -> float:
    return next((found.value for each in windows if (found := measure(each)) is not None), 0.1)


def _spread(each: Sequence[Sums]) -> float:
    """The standard deviation of the numbers of the first stretches that have any."""
    first = [one for one in each if one.rows][:FEWEST_DAYS]
    rows = sum(one.rows for one in first)
    if not rows:
        return 0.0
    center = sum(one.total for one in first) / rows
    return sqrt(max(sum(one.squares for one in first) / rows - center**2, 0.0))
