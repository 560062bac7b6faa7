"""What follows of a stage: a worse candidate goes back, a good one goes on, and what is open waits."""

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from benchmarks.simulated_releases import BEGIN, GOOD, OTHER_DAY, VERSIONS, drawn, simulate, spec_of, stage_of
from tasks.contracts import Counted, Losses, StageDecision, StageLook
from tasks.release.decide import decide, looked_at, planned
from tasks.release.stages import percentile, plan, slow_after, within
from tasks.spec import PipelineSpec

RANDOM = np.random.default_rng(7)
SPEC = spec_of()
BEFORE = drawn(GOOD, 5000, 0.5, RANDOM)


def decided(
    candidate: Counted, stable: Counted = BEFORE, stage: str = "canary_5", seconds: float = 600, **more: Any
) -> StageDecision:
    spec: PipelineSpec = more.pop("spec", SPEC)
    look = StageLook(
        at=BEGIN + timedelta(seconds=seconds), seconds=seconds, candidate=candidate, stable=stable, **more
    )
    return decide(stage_of(stage, spec, BEFORE), look, spec)


def check(decision: StageDecision, name: str) -> str:
    return next(each.says for each in decision.checks if each.check == name)


def test_a_candidate_like_the_stable_version_goes_on() -> None:
    decision = decided(drawn(GOOD, 3000, 0.5, RANDOM))

    assert decision.verdict == "proceed"
    assert {each.says for each in decision.checks if each.needed} == {"good"}


@pytest.mark.parametrize(
    ("version", "found_by"),
    [("wrong on a slice of 15 %", "labels"), ("slow", "latency"), ("crashing", "errors")],
)
def test_a_worse_candidate_goes_back_by_the_check_that_is_for_it(version: str, found_by: str) -> None:
    decision = decided(drawn(VERSIONS[version], 2000, 0.5, RANDOM))

    assert decision.verdict == "roll_back"
    assert check(decision, found_by) == "worse"
    assert "worse" in decision.why


def test_why_a_candidate_failed_is_in_the_decision_the_most_frequent_first() -> None:
    reasons = {"HTTP 500, it is late.": 9, "HTTP 500, the texts are\ntoo much for me.": 400}
    crashing = drawn(VERSIONS["crashing"], 2000, 0.5, RANDOM).model_copy(update={"reasons": reasons})

    decision = decided(crashing)

    assert (
        "more are allowed. Why the candidate did not answer: 400 times: HTTP 500, the texts are too much for "
        "me.; 9 times: HTTP 500, it is late."
    ) in decision.why


def test_another_distribution_of_answers_goes_back_without_any_label() -> None:
    shifted = Counted(requests=800, predictions={'"positive"': 600, '"negative"': 200})

    decision = decided(shifted.model_copy(update={"latency_buckets": {"0.5": 800}}))

    assert check(decision, "predictions") == "worse"
    assert decision.verdict == "roll_back"


@pytest.mark.parametrize("mode", ["canary", "blue_green"])
def test_a_day_of_other_requests_sends_no_good_version_back(mode: str) -> None:
    """At its end a canary has nothing beside it but what the stable version did the day before."""
    spec, random = spec_of(mode=mode), np.random.default_rng(12)

    found = Counter(simulate(GOOD, spec, random, usual=OTHER_DAY).verdict for _ in range(5))

    assert found == {"promoted": 5}


def test_where_the_candidate_answers_everything_it_still_goes_back_for_what_users_bear() -> None:
    found = [
        decided(drawn(VERSIONS[each], 2000, 0.5, RANDOM), stage="canary_100") for each in ("slow", "crashing")
    ]

    assert [each.verdict for each in found] == ["roll_back", "roll_back"]
    assert [check(each, "predictions") for each in found] == ["open", "open"]
    assert all("decides nothing here" in check.why for check in found[0].checks if not check.needed)


def test_few_requests_wait_however_good_they_look() -> None:
    decision = decided(drawn(GOOD, 60, 0.5, RANDOM))

    assert decision.verdict == "wait"
    assert "asked 60 of 500 requests" in decision.why


def test_a_stage_waits_for_labels_where_the_team_says_so() -> None:
    spec = spec_of(checks={"labels": {"least": 100}})

    decision = decided(drawn(GOOD, 3000, 0.0, RANDOM), spec=spec)

    assert (decision.verdict, "0 of 100 labels have come" in decision.why) == ("wait", True)


@pytest.mark.parametrize("undecided", ["hold", "proceed"])
def test_what_is_open_after_the_longest_time_is_as_declared(undecided: str) -> None:
    spec = spec_of(step={"longest_seconds": 600, "undecided": undecided})

    decision = decided(drawn(GOOD, 60, 0.5, RANDOM), spec=spec)

    assert decision.verdict == undecided
    assert f"release.step.undecided is {undecided}" in decision.why


def test_a_worse_candidate_goes_back_after_the_longest_time_too() -> None:
    spec = spec_of(step={"longest_seconds": 600, "undecided": "proceed"})

    assert decided(drawn(VERSIONS["crashing"], 2000, 0, RANDOM), spec=spec).verdict == "roll_back"


def test_copies_have_to_agree_where_the_team_says_so() -> None:
    spec = spec_of(checks={"agreement": {"least": 0.9}})
    copies = drawn(GOOD, 3000, 0, RANDOM)

    def said(agreed: int) -> StageDecision:
        return decided(copies, stage="shadow", spec=spec, compared=3000, agreed=agreed)

    assert (said(2950).verdict, said(2000).verdict) == ("proceed", "roll_back")
    assert check(said(2710), "agreement") == "open"


def test_without_a_stable_version_that_answered_nothing_is_said_to_be_slow() -> None:
    stage = stage_of("canary_5", SPEC, Counted())
    look = StageLook(at=BEGIN, seconds=1, candidate=drawn(VERSIONS["slow"], 900, 0, RANDOM), stable=BEFORE)

    decision = decide(stage, look, SPEC)

    assert stage.slow_after_seconds is None
    assert check(decision, "latency") == "nothing"


def test_a_limit_in_seconds_counts_where_the_stable_version_is_slower_itself() -> None:
    rules = spec_of(checks={"latency": {"limit_seconds": 0.01}}).release

    assert percentile(BEFORE) == 0.02
    assert slow_after(BEFORE, rules) == 0.01
    assert slow_after(Counted(), rules) == 0.01
    assert within(BEFORE, 0.02) > within(BEFORE, 0.01)


def test_the_rate_of_false_rollbacks_is_shared_by_checks_and_stages() -> None:
    decision = decided(drawn(GOOD, 3000, 0.5, RANDOM))

    shares = len(plan(SPEC.release)) * len(planned(SPEC, stage_of("canary_5", SPEC, BEFORE)))
    assert shares == 5 * 5
    [errors] = [each for each in decision.checks if each.check == "errors"]
    assert errors.harm_needed == pytest.approx(np.log(shares / 0.01))
    [slices] = [each for each in decision.checks if each.check == "slices"]
    assert slices.harm_needed == pytest.approx(np.log(shares * 3 / 0.01))


def test_slices_are_those_that_had_labels_before_the_stage() -> None:
    many = {f"source={place}": Losses(labelled=place + 1, loss=0.0) for place in range(50)}
    before = BEFORE.model_copy(update={"slices": many})

    assert looked_at(stage_of("canary_5", SPEC, before)) == tuple(f"source={49 - each}" for each in range(20))
    assert "slices" not in planned(SPEC, stage_of("canary_5", SPEC, BEFORE.model_copy(update={"slices": {}})))


def test_a_slice_that_is_new_in_the_stage_is_not_held_against_anybody() -> None:
    new = {"source=new": Losses(labelled=500, loss=500.0)}

    decision = decided(drawn(GOOD, 3000, 0.5, RANDOM).model_copy(update={"slices": new}))

    assert check(decision, "slices") == "nothing"
    assert decision.verdict == "proceed"


def test_the_slice_that_is_worse_is_named() -> None:
    decision = decided(drawn(VERSIONS["wrong on a slice of 5 %"], 1500, 0.5, RANDOM))

    assert (decision.verdict, check(decision, "slices")) == ("roll_back", "worse")
    assert check(decision, "labels") != "worse"
    assert "source=mail speaks most against it" in decision.why


def test_the_stages_follow_the_mode() -> None:
    assert [*plan(SPEC.release)] == ["shadow", "canary_5", "canary_25", "canary_50", "canary_100"]
    assert plan(spec_of(mode="blue_green").release) == {"canary_100": 1.0}
    assert [*plan(spec_of(mode="shadow_only").release)] == ["shadow"]
    assert [*plan(spec_of(shadow={"requests": 0}, steps=[0.025, 1]).release)] == ["canary_2_5", "canary_100"]


@pytest.mark.parametrize(
    "version", ["wrong on a slice of 15 %", "wrong on a slice of 5 %", "slow", "crashing"]
)
def test_twenty_of_twenty_worse_releases_go_back(version: str) -> None:
    random = np.random.default_rng(11)

    ends = Counter(simulate(VERSIONS[version], SPEC, random).verdict for _ in range(20))

    assert ends == {"roll_back": 20}


def test_twenty_of_twenty_good_releases_get_through_and_hardly_any_of_many_goes_back() -> None:
    random = np.random.default_rng(13)

    ends = [simulate(GOOD, SPEC, random).verdict for _ in range(100)]

    assert ends[:20] == ["promoted"] * 20
    assert ends.count("roll_back") <= 1
