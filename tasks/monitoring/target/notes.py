"""What needs no evidence over time: answers that are no numbers, labels that cannot be, what is missing."""

from collections.abc import Iterator, Sequence
from math import sqrt

from tasks.contracts import Signal, Sums, TargetReference, TargetSummary
from tasks.monitoring.target import estimate, measures
from tasks.monitoring.target.gaps import MOST_GROUPS
from tasks.spec import MonitorSpec

SURE = 2.576
"""Standard errors: chance gives more in one of a hundred cases."""
MOST_WITHOUT = 0.01
"""Of a window's answers so many may have no number; more is a fault of the model or of its preparation."""
FEWEST_LABELS = 30
VANISHED = 7
"""So many windows without a row of a group that used to have some are told."""


def facts(
    windows: Sequence[TargetSummary],
    counting: Sequence[TargetSummary],
    reference: TargetReference,
    rules: MonitorSpec,
) -> Iterator[Signal]:
    """What the windows say by themselves."""
    yield from _no_numbers(windows[-1])
    yield from _constant_labels(counting)
    yield from _selection(counting, rules)
    yield from _vanished(windows, reference)
    yield from _unwatched(windows, reference)


def _no_numbers(newest: TargetSummary) -> Iterator[Signal]:
    gave_scores = newest.without_score < newest.every.rows and newest.task != "regression"
    broken = newest.not_numbers + (newest.without_score if gave_scores else 0)
    if not broken:
        return
    share = broken / newest.every.rows
    what = "predictions" if newest.task == "regression" else "scores"
    told = f"{broken} of {newest.every.rows} answers have {what} that are no finite numbers"
    grave = share > MOST_WITHOUT
    yield Signal(
        question="target",
        reason="not_numbers",
        subject=what,
        level="incident" if grave else "note",
        value=share,
        threshold=MOST_WITHOUT,
        unit="share of answers",
        since=newest.window_start,
        why=f"{told}: {'the model or its preparation is broken.' if grave else 'too few to act on.'}",
    )


def _constant_labels(counting: Sequence[TargetSummary]) -> Iterator[Signal]:
    """Of a regression, in the two newest windows that have enough labels."""
    found = [
        (each, numbers)
        for each in counting
        if (numbers := each.every.sums.get("label", Sums())).rows >= FEWEST_LABELS
    ]
    newest = found[-2:]
    if len(newest) < 2 or not all(_is_constant(numbers) for _, numbers in newest):
        return
    value = newest[-1][1].total / newest[-1][1].rows
    rows = sum(numbers.rows for _, numbers in newest)
    yield Signal(
        question="target",
        reason="constant_labels",
        subject="label",
        level="incident",
        value=value,
        unit="label",
        since=newest[0][0].window_start,
        why=f"All {rows} labels of the last two windows that have labels are {value:g}. "
        "Look at what sends them.",
    )


def _is_constant(numbers: Sums) -> bool:
    spread = numbers.squares / numbers.rows - (numbers.total / numbers.rows) ** 2
    return spread <= 1e-12 * max(1.0, numbers.squares / numbers.rows)


def _selection(counting: Sequence[TargetSummary], rules: MonitorSpec) -> Iterator[Signal]:
    """Are the rows that get labels like all of them? Else what labels say is of those rows alone."""
    rows = sum(each.every.rows for each in counting)
    labelled = sum(each.every.labelled for each in counting)
    if not labelled or labelled == rows:
        return
    off = {
        name: _share(counting, "answered", name) / labelled - _share(counting, "predicted", name) / rows
        for name in {key for each in counting for key in each.every.predicted}
    }
    if not off:
        return
    name = max(sorted(off), key=lambda key: abs(off[key]))
    usual = _share(counting, "predicted", name) / rows
    chance = SURE * sqrt(usual * (1 - usual) / labelled)
    limit = max(rules.share_floor, chance)
    differs = abs(off[name]) > limit
    told = f"Labels have come for {labelled / rows:.0%} of the predictions"
    seen = f"{name!r} was answered to {usual + off[name]:.1%} of the labelled rows and to {usual:.1%} of all"
    if differs:
        why = f"{told}, and not at random: {seen}. What labels say of the model is said of those rows."
    elif abs(off[name]) > rules.share_floor:
        why = f"{told}; {seen}, which may be chance with so few labels ({labelled})."
    else:
        why = f"{told}; the labelled rows were answered like all."
    yield Signal(
        question="target",
        reason="labels_selected" if differs else "labels_partial",
        subject="labels",
        level="note",
        value=off[name],
        threshold=limit,
        unit="share of answers",
        why=why,
    )


def _share(counting: Sequence[TargetSummary], counts: str, name: str) -> int:
    return sum(getattr(each.every, counts).get(name, 0) for each in counting)


def _vanished(windows: Sequence[TargetSummary], reference: TargetReference) -> Iterator[Signal]:
    newest = [each for each in windows if each.every.rows][-VANISHED:]
    if len(newest) < VANISHED:
        return
    there = {(tally.column, tally.value) for each in newest for tally in each.groups if tally.rows}
    before = {(tally.column, tally.value): tally for each in windows for tally in each.groups if tally.rows}
    named = {(each.column, each.value) for each in reference.slices}
    asked = {column for column, _ in before}
    for column, value in sorted({*before, *(key for key in named if key[0] in asked)} - there):
        yield Signal(
            question="target",
            reason="slice_missing",
            subject=f"{column}={value}",
            level="note",
            since=newest[0].window_start,
            why=f"No prediction of the last {VANISHED} windows has {column} = {value}: nothing is known "
            "of it.",
        )


def _unwatched(windows: Sequence[TargetSummary], reference: TargetReference) -> Iterator[Signal]:
    """Slices that the promotion was judged by and no window knows, and those beyond the largest."""
    newest = [each for each in windows if each.every.rows][-1]
    carried = {tally.column for tally in newest.groups}
    asked = {each.column for each in reference.slices} | {each.column for each in reference.fairness}
    for column in sorted(asked - carried):
        yield _not_watched(
            column,
            f"The slices by {column} are not watched: requests do not carry it. Make it a feature of "
            "data.features, or judge it at the gate alone.",
        )
    watched = [each for each in reference.slices if each.column in carried]
    if len(watched) > MOST_GROUPS:
        yield _not_watched(
            "slices",
            f"Of {len(watched)} slices the {MOST_GROUPS} largest are watched. Put values together, with "
            "edges in data.slice_by or in the query, to watch all.",
        )


def _not_watched(subject: str, why: str) -> Signal:
    return Signal(question="target", reason="slice_unwatched", subject=subject, level="note", why=why)


def estimates(
    name: str,
    windows: Sequence[TargetSummary],
    counting: Sequence[TargetSummary],
    reference: TargetReference,
    boundary: float | None,
) -> Iterator[Signal]:
    """The estimate for windows whose labels are not there, and how good such estimates were.

    Args:
        boundary: The worst value of the metric that is allowed.
    """
    checked = estimate.check(name, counting)
    if checked is not None:
        yield _checked(name, checked)
    done = {each.window_start for each in counting}
    waiting = [each for each in windows if each.window_start not in done and each.every.rows]
    if not waiting:
        return
    pool = waiting[0]
    for each in waiting[1:]:
        pool = measures.merged(pool, each)
    found = estimate.estimate(
        name, pool, estimate.calibration_of(checked, reference.metrics.get("calibration_error"))
    )
    told = f"{pool.every.rows} predictions since {pool.window_start:%Y-%m-%d} have too few labels"
    if found is None:
        why = f"{told}, and {name} cannot be estimated without: that needs probabilities."
        yield _estimate_signal("no_estimate", name, why, pool)
        return
    bad = boundary is not None and _is_worse(name, found, boundary)
    why = (
        f"{told}. By the model's own confidence {name} is {found.value:.3f} "
        f"[{found.low:.3f}, {found.high:.3f}]: an estimate, no measurement"
        f"{f', beyond the limit of {boundary:.3f}' if bad else ''}."
    )
    yield _estimate_signal("estimated_performance", name, why, pool, found.value, boundary, bad=bad)


def _is_worse(name: str, found: estimate.Estimate, boundary: float) -> bool:
    return (
        found.high < boundary
        if measures.as_loss(name, 1.0) < measures.as_loss(name, 0.0)
        else found.low > boundary
    )


def _estimate_signal(
    reason: str,
    name: str,
    why: str,
    pool: TargetSummary,
    value: float | None = None,
    boundary: float | None = None,
    *,
    bad: bool = False,
) -> Signal:
    return Signal(
        question="target",
        reason=reason,
        subject=name,
        level="suspicious" if bad else "note",
        value=value,
        threshold=boundary,
        unit=name,
        since=pool.window_start,
        why=why,
    )


def _checked(name: str, found: estimate.Check) -> Signal:
    return Signal(
        question="target",
        reason="estimate_checked",
        subject=name,
        level="note",
        value=found.bias,
        unit=name,
        why=f"In the {found.windows} windows that have labels, {name} by the model's own confidence was "
        f"{abs(found.bias):.3f} too {'high' if found.bias > 0 else 'low'} on average, and typically "
        f"{found.typical:.3f} off beyond that and chance.",
    )
