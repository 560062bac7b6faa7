"""How an objective stands follows from what was counted: its budget, how fast it burns, and when to warn."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.contracts import (
    Burning,
    Estimate,
    LabelledCounts,
    Objective,
    ObjectiveCounts,
    WindowCounts,
)
from tasks.monitoring.slo.decide import HOURS, WARNINGS, Served, decide, troubled_since, windows_of
from tasks.spec.slo import (
    AccuracyObjective,
    AvailabilityObjective,
    FreshnessObjective,
    LatencyObjective,
    SloSpec,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
AVAILABLE = SloSpec(availability=AvailabilityObjective(share=0.999))


def counts(
    slo: SloSpec, failing: dict[float, float] | None = None, requests_an_hour: int = 1200, slow: float = 0.0
) -> ObjectiveCounts:
    """Of a service that is asked so often; `failing` names the share that failed within each window of so
    many hours, `slow` the share of slow answers.
    """
    windows = []
    for since in windows_of(slo, NOW):
        hours = (NOW - since).total_seconds() / 3600
        total = round(requests_an_hour * hours)
        failed = round(total * (failing or {}).get(round(hours, 6), 0.0))
        windows.append(
            WindowCounts(
                since=since, answered=total - failed, slow=round(slow * (total - failed)), failed=failed
            )
        )
    return ObjectiveCounts(model="m", until=NOW, windows=tuple(windows), labelled=())


def only(slo: SloSpec, seen: ObjectiveCounts, *served: Served) -> Objective:
    [objective] = decide(slo, seen, served, NOW)
    return objective


def everywhere(share: float) -> dict[float, float]:
    return {round(hours, 6): share for hours in (*HOURS, 720)}


def test_a_service_that_fails_nothing_has_all_of_its_budget() -> None:
    found = only(AVAILABLE, counts(AVAILABLE))
    assert (found.budget_left, found.burning, found.kept) == (1.0, "no", "kept")
    assert "100 % of 864000 requests were answered. 100% of the budget of 30 days is left." in found.why


def test_half_of_the_faults_that_are_allowed_leave_half_of_the_budget() -> None:
    found = only(AVAILABLE, counts(AVAILABLE, everywhere(0.0005)))
    assert found.budget_left == pytest.approx(0.5)
    assert found.kept == "kept"


def test_more_faults_than_are_allowed_are_a_missed_objective() -> None:
    found = only(AVAILABLE, counts(AVAILABLE, {720: 0.003}))
    assert found.budget_left == pytest.approx(-2)
    assert found.kept == "missed"
    assert "overspent: 200% more than all of it" in found.why


@pytest.mark.parametrize(
    ("shares", "burning"),
    [
        ({1: 0.0145, 0.083333: 0.02}, "fast"),
        ({1: 0.0145, 0.083333: 0.0}, "no"),
        ({1: 0.014, 0.083333: 0.02}, "no"),
        ({6: 0.0061, 0.5: 0.0061}, "fast"),
        ({6: 0.0061, 0.5: 0.0001}, "no"),
        ({72: 0.0011, 6: 0.0011}, "slowly"),
        ({72: 0.0011, 6: 0.0009}, "no"),
    ],
)
def test_a_budget_burns_where_both_windows_of_the_workbook_say_so(
    shares: dict[float, float], burning: Burning
) -> None:
    assert only(AVAILABLE, counts(AVAILABLE, shares, requests_an_hour=120_000)).burning == burning


def test_the_rates_are_the_workbooks_for_thirty_days() -> None:
    rates = [each.spends * 30 * 24 / each.long_hours for each in WARNINGS]
    assert rates == pytest.approx([14.4, 6, 1])


def test_a_single_failed_request_of_a_service_that_is_seldom_asked_warns_of_nothing() -> None:
    one = counts(AVAILABLE, {1: 0.25, 0.083333: 1.0}, requests_an_hour=4)
    assert only(AVAILABLE, one).burning == "no"


def test_a_service_that_nobody_asked_cannot_be_told_of() -> None:
    found = only(AVAILABLE, counts(AVAILABLE, requests_an_hour=0))
    assert (found.value, found.budget_left, found.kept) == (None, None, "cannot_tell")
    assert found.why == "There was no request in the last 30 days."


def test_slow_answers_spend_the_budget_of_latency_and_not_that_of_availability() -> None:
    slo = SloSpec(availability=AvailabilityObjective(), latency=LatencyObjective(seconds=0.1))
    available, fast = decide(slo, counts(slo, slow=0.02), (), NOW)
    assert available.budget_left == 1
    assert fast.budget_left == pytest.approx(-1)
    assert fast.promise == "99 % of the answers come within 0.1 s"


def serving(version: str, days_ago: float, until_days_ago: float, promoted_days_ago: float) -> Served:
    return Served(version, NOW - days_ago * DAY, NOW - until_days_ago * DAY, NOW - promoted_days_ago * DAY)


FRESH = SloSpec(freshness=FreshnessObjective(days=10, share=0.9))


def test_a_model_is_fresh_as_long_as_its_promotion_is_young_enough() -> None:
    found = only(FRESH, counts(FRESH), serving("1", 40, 20, 40), serving("2", 20, 0, 20))
    assert found.value is not None
    assert found.value.value == pytest.approx(10 / 30), "version 1 was too old, version 2 is since ten days"
    assert found.kept == "missed"
    assert "what serves is 20.0 days old" in found.why


def test_an_old_version_that_came_back_is_as_old_as_it_is() -> None:
    found = only(FRESH, counts(FRESH), serving("2", 5, 1, 5), serving("1", 1, 0, 60))
    assert found.value is not None
    assert found.value.value == pytest.approx(4 / 5)


def test_a_model_of_which_no_version_served_is_not_stale() -> None:
    found = only(FRESH, counts(FRESH), serving("1", 50, 40, 50))
    assert (found.kept, found.why) == ("cannot_tell", "No version served in the last 30 days.")


def labelled(value: float, low: float, high: float, rows: int = 200, **more: Estimate) -> LabelledCounts:
    right = Estimate(value=value, low=low, high=high)
    fields = {"model_version": None, "labelled": rows, "right": right, "error": None, **more}
    return LabelledCounts.model_validate(fields)


@pytest.mark.parametrize(
    ("estimate", "kept"),
    [
        ((0.95, 0.91, 0.97), "kept"),
        ((0.85, 0.80, 0.89), "missed"),
        ((0.89, 0.85, 0.93), "cannot_tell"),
        ((0.92, 0.88, 0.95), "cannot_tell"),
    ],
)
def test_accuracy_is_told_for_certain_only_where_its_interval_is_on_one_side(
    estimate: tuple[float, float, float], kept: str
) -> None:
    slo = SloSpec(accuracy=AccuracyObjective(at_least=0.9))
    seen = counts(slo).model_copy(update={"labelled": (labelled(*estimate),)})
    found = only(slo, seen)
    assert found.kept == kept
    assert found.budget_left == pytest.approx(1 - (1 - estimate[0]) / 0.1)
    assert ("more labels are needed" in found.why) == (kept == "cannot_tell")


def test_numbers_are_held_to_their_mean_error() -> None:
    slo = SloSpec(accuracy=AccuracyObjective(at_most=10))
    error = Estimate(value=12, low=11, high=13)
    seen = counts(slo).model_copy(update={"labelled": (labelled(0, 0, 0, error=error),)})
    found = only(slo, seen)
    assert (found.kept, found.value) == ("missed", error)
    assert found.budget_left == pytest.approx(-0.2)
    assert only(slo, counts(slo)).why == "There was no labelled number in the last 30 days."


def test_a_trouble_is_as_old_as_the_look_that_found_it_first() -> None:
    missed, kept = (only(AVAILABLE, counts(AVAILABLE, {720: share})) for share in (0.003, 0.0))
    [first] = troubled_since((missed,), (), NOW)
    [later] = troubled_since((missed,), (first,), NOW + DAY)
    [over] = troubled_since((kept,), (later,), NOW + 2 * DAY)
    [again] = troubled_since((missed,), (over,), NOW + 3 * DAY)
    assert [each.troubled_since for each in (first, later, over, again)] == [NOW, NOW, None, NOW + 3 * DAY]


def test_a_few_faults_of_many_requests_are_not_told_as_none() -> None:
    found = only(AVAILABLE, counts(AVAILABLE, {720.0: 3e-6}))
    assert found.good == 863_997
    assert "99.9997 % of 864000 requests were answered." in found.why
