"""What windows of known truth are said to mean."""

import numpy as np
import pytest

from tasks.contracts import (
    FairnessGap,
    GroupValue,
    Metric,
    ScoreBin,
    Signal,
    SliceScore,
    Sums,
    Tally,
    TargetReference,
    TargetSummary,
)
from tasks.monitoring.target import estimate, measures
from tasks.monitoring.target.detector import chunks, variance_of
from tasks.monitoring.target.gaps import Gap
from tasks.monitoring.target.signals import series, signals
from tasks.spec import MonitorSpec
from tests.unit.monitoring.target.simulated import START, numbers, promoted, two_classes, window

RULES = MonitorSpec()
BINARY = promoted(accuracy=0.819, roc_auc=0.8745, brier=0.1266)
REGRESSION = promoted("regression", "rmse", rmse=5.0, mae=4.0, r2=0.94)
REGIONS = ("north", "south", "east")
QUIET = [two_classes(day) for day in range(30)]


def said(
    history: list[TargetSummary], reference: TargetReference = BINARY, **rules: object
) -> dict[str, Signal]:
    """By reason, the gravest of each."""
    found = signals(history, reference, RULES.model_copy(update=rules))
    return {each.reason: each for each in reversed(found)}


def levels(history: list[TargetSummary], reference: TargetReference = BINARY) -> set[str]:
    return {each.level for each in signals(history, reference, RULES)}


@pytest.mark.parametrize("primary", ["accuracy", "roc_auc", "brier", "f1"])
def test_ordinary_days_are_quiet_whatever_the_metric(primary: str) -> None:
    reference = BINARY.model_copy(update={"primary_metric": primary})
    assert levels([two_classes(day) for day in range(60)], reference) <= {"note"}


def test_inverted_labels_are_an_incident_in_the_first_labelled_window() -> None:
    found = said([*QUIET, two_classes(30, inverted=True)])
    assert found["agreement"].level == "incident"
    assert found["agreement"].since == START.replace(day=31)
    assert said([two_classes(0, inverted=True)])["agreement"].level == "incident"


@pytest.mark.parametrize("primary", ["accuracy", "roc_auc"])
def test_labels_that_were_joined_to_other_rows_are_an_incident_within_days(primary: str) -> None:
    reference = BINARY.model_copy(update={"primary_metric": primary})
    found = said([*QUIET, *(two_classes(day, shuffled=True) for day in range(30, 34))], reference)
    assert found["agreement"].level == "incident"
    assert "mixed up" in found["agreement"].why


def test_a_model_that_is_worse_alarms_and_its_labels_are_no_incident() -> None:
    found = said([*QUIET, *(two_classes(day, overconfident=0.1) for day in range(30, 40))])
    assert found["performance"].level == "alarm"
    assert found["performance"].value is not None
    assert found["performance"].value < 0.79
    assert "agreement" not in found


def test_a_turned_prior_alarms_although_the_inputs_are_not_looked_at() -> None:
    found = said(
        [
            *(two_classes(day, prior=0.2) for day in range(30)),
            *(two_classes(day, prior=0.5) for day in (30, 31)),
        ]
    )
    assert found["label_share"].level == "alarm"
    assert found["label_share"].value == pytest.approx(0.5, abs=0.06)


def test_scores_that_move_alarm_before_any_label_has_come() -> None:
    moved = [two_classes(day, prior=0.8 if day >= 30 else 0.3, labelled_share=0) for day in range(34)]
    assert said(moved)["score_mean"].level == "alarm"


def test_without_labels_there_is_an_estimate_that_says_what_it_is() -> None:
    found = said([two_classes(day, labelled_share=0) for day in range(20)])
    assert set(found) == {"estimated_performance"}
    assert found["estimated_performance"].level == "note"
    assert "an estimate, no measurement" in found["estimated_performance"].why


def test_an_estimate_is_held_against_labels_and_widens_by_what_it_was_wrong() -> None:
    honest = [*QUIET[:20], *(two_classes(day, labelled_share=0) for day in range(20, 30))]
    misled = [two_classes(day, overconfident=0.1) for day in range(20)]
    last = [two_classes(day, labelled_share=0) for day in range(20, 30)]
    assert said(honest)["estimate_checked"].value == pytest.approx(0, abs=0.01)
    assert said([*misled, *last])["estimate_checked"].value == pytest.approx(0.06, abs=0.02)
    widths = [
        point.estimated_high - point.estimated_low
        for each in (honest, [*misled, *last])
        if (point := series(each, BINARY)[-1]).estimated_high is not None and point.estimated_low is not None
    ]
    assert widths[1] > widths[0] + 0.1


def test_an_estimate_that_is_wrong_by_the_same_each_day_is_widened_by_that_once() -> None:
    """0.7 of the answers were right of those that the model was sure of by 0.9."""
    every = Tally(
        rows=4000,
        labelled=4000,
        right={"1": 2800},
        sums={
            "labelled_confidence": Sums(rows=4000, total=3600),
            "labelled_doubt": Sums(rows=4000, total=360),
        },
    )
    checked = estimate.check("accuracy", [window(day, "binary", every=every) for day in range(5)])
    assert checked is not None
    assert (checked.bias, checked.typical) == (pytest.approx(0.2), pytest.approx(0, abs=1e-6))
    assert estimate.calibration_of(checked, None) == pytest.approx(0.2)


def test_ten_labels_say_nothing_yet() -> None:
    assert levels([two_classes(0, labelled_share=10 / 400)]) <= {"note"}


def test_a_window_counts_once_its_labels_are_there() -> None:
    early = [two_classes(day, inverted=True, labelled_share=0.1) for day in (30, 31)]
    assert "agreement" not in said([*QUIET, *early])
    assert said([*QUIET, two_classes(30, inverted=True)])["agreement"].level == "incident"


def test_who_gets_labelled_is_told() -> None:
    labels = {"labelled": 400, "labels": {"0": 100, "1": 300}, "right": {"0": 90, "1": 250}}
    answers = {"predicted": {"0": 700, "1": 300}, "answered": {"0": 140, "1": 260}}
    found = said([window(0, "binary", every=Tally.model_validate({"rows": 1000, **labels, **answers}))])
    assert "not at random" in found["labels_selected"].why


def test_of_few_labels_the_note_says_what_its_value_says() -> None:
    one = {"labelled": 1, "labels": {"1": 1}, "right": {"1": 1}, "answered": {"1": 1}}
    counted = {"rows": 1000, "predicted": {"0": 497, "1": 503}, **one}
    found = said([window(0, "binary", every=Tally.model_validate(counted))])["labels_partial"]
    assert found.value == pytest.approx(-0.497)
    assert found.threshold is not None
    assert found.threshold > 0.497
    assert (
        "'0' was answered to 0.0% of the labelled rows and to 49.7% of all, which may be chance" in found.why
    )


def test_a_window_of_one_label_is_not_drawn_and_a_share_s_interval_stays_one() -> None:
    def shown(labelled: int, primary: str) -> tuple[float | None, ...]:
        right = {"labelled": labelled, "labels": {"1": labelled}, "right": {"1": labelled}}
        counted = {"rows": 1500, "predicted": {"1": 1500}, "answered": {"1": labelled}, **right}
        brier = {"rows": labelled, "total": 0.9, "squares": 0.8}
        every = Tally.model_validate({**counted, "sums": {"brier": brier}})
        reference = BINARY.model_copy(update={"primary_metric": primary})
        scored = [ScoreBin(number=49, rows=1500, score_sum=1400)]
        [point] = series([window(0, "binary", every=every, bins=scored)], reference)
        return point.metric, point.low, point.high

    assert shown(1, "accuracy") == (None, None, None)
    assert shown(20, "accuracy") == (1.0, pytest.approx(0.839, abs=0.001), 1.0)
    value, low, high = shown(20, "brier")
    assert (value, low) == (pytest.approx(0.045), 0.0)
    assert high is not None
    assert high < 1


@pytest.mark.parametrize(("broken", "level"), [(2, "note"), (200, "incident")])
def test_scores_that_are_no_numbers(broken: int, level: str) -> None:
    newest = two_classes(30).model_copy(update={"not_numbers": broken})
    assert said([*QUIET, newest])["not_numbers"].level == level


def test_a_model_that_gives_no_scores_is_not_broken() -> None:
    seen = [each.model_copy(update={"bins": (), "without_score": each.every.rows}) for each in QUIET]
    assert levels(seen) <= {"note"}


def test_a_regression_is_quiet_then_worse() -> None:
    assert levels([numbers(day) for day in range(60)], REGRESSION) <= {"note"}
    found = said([numbers(day, noise=7 if day >= 30 else 5) for day in range(40)], REGRESSION)
    assert found["performance"].level == "alarm"
    assert found["performance"].value == pytest.approx(7, abs=0.7)


def test_labels_of_a_regression_that_are_all_the_same_are_an_incident() -> None:
    found = said(
        [*(numbers(day) for day in range(20)), *(numbers(day, constant=50) for day in (20, 21))], REGRESSION
    )
    assert found["constant_labels"].level == "incident"
    assert "All 400 labels" in found["constant_labels"].why


def test_a_regression_without_labels_cannot_be_estimated_and_says_so() -> None:
    found = said([numbers(day, labelled=False) for day in range(10)], REGRESSION)
    assert "needs probabilities" in found["no_estimate"].why


def of_regions(day: int, **how: object) -> TargetSummary:
    return two_classes(day, **{"groups": REGIONS, **how})  # type: ignore[arg-type]


def sliced() -> TargetReference:
    return BINARY.model_copy(
        update={
            "slices": tuple(
                SliceScore(column="region", value=each, rows=1000, metric=BINARY.metrics["accuracy"])
                for each in REGIONS
            )
        }
    )


def test_a_slice_that_gets_worse_is_named() -> None:
    assert levels([of_regions(day) for day in range(30)], sliced()) <= {"note"}
    worse = [of_regions(day, worse_group="east" if day >= 20 else None) for day in range(30)]
    assert said(worse, sliced())["slice"].subject == "region=east"


def test_a_slice_that_vanishes_is_told_and_alarms_nothing() -> None:
    gone = [of_regions(day, groups=REGIONS if day < 20 else REGIONS[:2]) for day in range(30)]
    found = said(gone, sliced())
    assert found["slice_missing"].subject == "region=east"
    assert levels(gone, sliced()) == {"note"}


def test_slices_by_a_column_that_requests_do_not_carry_are_named_as_unwatched() -> None:
    found = said(QUIET, sliced())
    assert (found["slice_unwatched"].subject, found["slice_unwatched"].level) == ("region", "note")
    assert "requests do not carry it" in found["slice_unwatched"].why
    assert "slice_unwatched" not in said([of_regions(day) for day in range(30)], sliced())


def test_slices_beyond_the_largest_are_told() -> None:
    [first, *_] = sliced().slices
    many = [first.model_copy(update={"value": f"r{number}"}) for number in range(25)]
    reference = BINARY.model_copy(update={"slices": tuple(many)})
    assert "the 20 largest" in said([of_regions(0)], reference)["slice_unwatched"].why


@pytest.mark.parametrize("name", ["accuracy", "brier"])
def test_a_slice_is_measured_alike_from_what_is_kept_of_windows_and_from_whole_ones(name: str) -> None:
    """Windows with too few rows of a group are put together, which once merged all that they know."""
    days = [of_regions(day, rows=70, labelled_share=0.7) for day in range(40)]
    gap = Gap(name, "region", "east")
    found, whole = chunks(gap, days), []
    waiting: TargetSummary | None = None
    for day in days:
        waiting = day if waiting is None else measures.merged(waiting, day)
        if (seen := difference(name, waiting)) is not None:
            whole.append((waiting.window_start, pytest.approx(seen)))
            waiting = None
    assert 5 < len(found) < 40
    assert [(at, (seen.value, seen.rows, seen.variance)) for at, seen in found] == whole


def difference(name: str, seen: TargetSummary) -> tuple[float, int, float] | None:
    """The loss of one group minus that of all others, from their tallies."""
    east = next(each for each in seen.groups if each.value == "east")
    [first, *more] = [each for each in seen.groups if each.value != "east"]
    others = first
    for each in more:
        others = measures.merged_tally(others, each)
    if east.labelled < 30 or others.labelled < 30:
        return None
    own, rest = (measures.loss_of_tally(name, each) for each in (east, others))
    assert own is not None
    assert rest is not None
    return own.value - rest.value, own.rows, variance_of(own) + variance_of(rest)


def test_groups_that_move_apart_are_named() -> None:
    groups = tuple(GroupValue(value=each, rows=1000, metric=0.27) for each in REGIONS)
    gap = FairnessGap(column="region", metric="selection_rate", groups=groups, gap=0.0)
    reference = BINARY.model_copy(update={"fairness": (gap,)})
    days = [of_regions(day) for day in range(40)]
    assert levels(days, reference) <= {"note"}
    turned = [each.model_copy(update={"groups": tuple(map(_no_for_east, each.groups))}) for each in days[20:]]
    assert "region=east" in said([*days[:20], *turned], reference)["fairness"].subject


def _no_for_east(tally: object) -> object:
    predicted = {"0": tally.rows, "1": 0}  # type: ignore[attr-defined]
    return tally.model_copy(update={"predicted": predicted}) if tally.value == "east" else tally  # type: ignore[attr-defined]


def test_without_a_promotion_the_first_windows_are_the_reference() -> None:
    unknown = TargetReference(model="m", run_id="r", task="binary", primary_metric="accuracy", source="none")
    assert levels(QUIET, unknown) <= {"note"}
    found = said([*QUIET, *(two_classes(day, overconfident=0.2) for day in range(30, 40))], unknown)
    assert found["performance"].level == "alarm"


def test_a_model_that_nobody_asked_says_nothing() -> None:
    assert signals([], BINARY, RULES) == ()
    empty = two_classes(0).every.model_copy(update={"rows": 0, "labelled": 0})
    assert signals([window(0, "binary", every=empty)], BINARY, RULES) == ()


def test_the_same_windows_in_any_order_say_the_same() -> None:
    history = [*QUIET, two_classes(30, inverted=True)]
    shuffled = [history[place] for place in np.random.default_rng(0).permutation(len(history))]
    assert signals(shuffled, BINARY, RULES) == signals(history, BINARY, RULES)


def test_a_window_that_overlaps_another_is_not_counted_twice() -> None:
    twice = [
        *QUIET,
        *(each.model_copy(update={"window_end": each.window_end.replace(hour=1)}) for each in QUIET),
    ]
    assert len(series(twice, BINARY)) == len(QUIET)


def test_the_series_has_intervals_around_the_truth() -> None:
    points = series(QUIET, BINARY)
    inside = [
        each.low <= 0.819 <= each.high for each in points if each.low is not None and each.high is not None
    ]
    assert np.mean(inside) > 0.85
    assert points[0].labels["1"] == pytest.approx(0.3, abs=0.08)


def test_a_reference_of_a_lucky_test_set_does_not_alarm_for_ever() -> None:
    lucky = BINARY.model_copy(
        update={"metrics": {"accuracy": Metric(name="accuracy", value=0.83, low=0.815, high=0.845)}}
    )
    assert levels([two_classes(day) for day in range(120)], lucky) <= {"note"}


def test_answers_that_follow_the_seasons_of_the_labels_are_quiet() -> None:
    moved = [two_classes(day, prior=0.8 if day >= 30 else 0.3, labelled_share=0) for day in range(34)]
    shares = [0.1 + 0.7 * (place // 10 % 2) for place in range(60)]
    days = tuple(
        day.model_copy(update={"labels": {"1": round(100 * share), "0": 100 - round(100 * share)}})
        for day, share in zip(BINARY.label_days, shares, strict=True)
    )
    assert "score_mean" not in said(moved, BINARY.model_copy(update={"label_days": days}))


def test_an_auc_that_is_lower_within_days_from_the_first_one_on_is_quiet() -> None:
    lower = Metric(name="roc_auc", value=0.91, low=0.90, high=0.92)
    reference = BINARY.model_copy(update={"primary_metric": "roc_auc", "metrics": {"roc_auc": lower}})
    assert "performance" not in said([two_classes(day) for day in range(60)], reference)


def test_a_slice_whose_metric_the_promotion_does_not_know_never_alarms() -> None:
    reference = sliced()
    other = Metric(name="roc_auc", value=0.87, low=0.86, high=0.88)
    slices = tuple(each.model_copy(update={"metric": other}) for each in reference.slices)
    unknown = reference.model_copy(update={"primary_metric": "roc_auc", "slices": slices})
    worse = [of_regions(day, worse_group="east" if day >= 20 else None) for day in range(30)]
    assert said(worse, unknown)["slice"].level == "suspicious"
