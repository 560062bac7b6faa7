"""The watch of a model: from quiet to suspicious, alarm, retraining, probation and back, and what follows."""

import json
from dataclasses import asdict, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from tasks.contracts import Follows, State, Verdict
from tasks.monitoring.answers import POLICY, SECONDS_APART
from tasks.monitoring.states import AMONG, AT_THIS_CHECK, SINCE_THE_CHECK_BEFORE, next_state
from tasks.monitoring.watch import UNJUDGED, Check, Level, Memory, recorded_rules
from tasks.spec import MonitorSpec
from tasks.spec.monitor import RetrainBudget

RULES = MonitorSpec(minimum_new_rows=200, cooldown_seconds=600)
QUIET = Check("none", "All is as before.")
ALARM = Check("alarm", "The distance moved.", question="input", new_rows=500)
SUSPICION = Check("suspicious", "The distance may move.", question="input")

levels = st.sampled_from(get_args(Level))
checks = st.builds(
    Check,
    level=levels,
    why=st.just("Found."),
    question=st.sampled_from(["validity", "input", "target", "skew", None]),
    new_rows=st.integers(0, 1000),
    new_fields=st.sampled_from([(), ("wind",), ("wind", "rain")]),
)
memories = st.builds(
    Memory,
    state=st.sampled_from(get_args(State)),
    levels=st.lists(levels.filter(lambda level: level not in UNJUDGED), max_size=3).map(tuple),
    checks_since_retrain=st.none() | st.integers(0, 5),
    open_training=st.none() | st.just("retrain__1"),
    seconds_since_grant=st.none() | st.floats(-1e9, 1e9),
    runs=st.integers(0, 10),
    seconds=st.floats(0, 1e5),
    dearest_seconds=st.floats(0, 1e4),
    failures_in_a_row=st.integers(0, 5),
    light_in_a_row=st.integers(0, 6),
    breaker_closed_by=st.none() | st.just("person:ann"),
)
rules_of_teams = st.builds(
    MonitorSpec,
    mode=st.sampled_from(["suggest", "approve", "auto"]),
    minimum_new_rows=st.integers(0, 1000),
    cooldown_seconds=st.floats(0, 1e6),
    retrain_budget=st.builds(RetrainBudget, runs=st.integers(0, 10), seconds=st.none() | st.floats(1, 1e5)),
    breaker_after=st.integers(1, 6),
    rebuild_after=st.integers(1, 6),
    probation_checks=st.integers(0, 5),
)


def follow(*found: Check, rules: MonitorSpec = RULES, **memory: Any) -> list[tuple[State, Verdict]]:
    """State and verdict after each of these checks in a row, nothing else happening meanwhile."""
    state, seen, steps = memory.pop("state", "quiet"), (), []
    for check in found:
        step = next_state(check, Memory(state=state, levels=seen[: AMONG - 1], **memory), rules)
        state = step.state
        seen = seen if check.level in UNJUDGED else (check.level, *seen)
        steps.append((step.state, step.verdict))
    return steps


def answered(check: Check = ALARM, rules: MonitorSpec = RULES, **memory: Any) -> tuple[Verdict, Follows]:
    step = next_state(check, Memory(**memory), rules)
    return step.verdict, step.follows


def test_an_alarm_retrains_and_the_retrained_champion_is_on_probation_until_its_checks_are_over() -> None:
    alarmed = next_state(ALARM, Memory(), RULES)
    trains = next_state(ALARM, Memory(state=alarmed.state, open_training="retrain__1"), RULES)
    new = [next_state(QUIET, Memory(checks_since_retrain=number), RULES).state for number in range(4)]

    assert (alarmed.state, alarmed.verdict, alarmed.follows) == ("alarm", "retrain", "retrain")
    assert (trains.state, trains.verdict, trains.follows) == ("retraining", "wait", "nothing")
    assert new == ["probation", "probation", "probation", "quiet"]


def test_suspicion_alone_never_becomes_an_alarm_and_leaves_when_quiet_days_come_back() -> None:
    assert set(follow(*[SUSPICION] * 50)) == {("suspicious", "suspicious")}
    assert follow(SUSPICION, QUIET, QUIET, QUIET) == [("suspicious", "suspicious")] * 3 + [("quiet", "quiet")]


def test_an_alarm_that_comes_and_goes_is_one_alarm() -> None:
    states = [state for state, _ in follow(*[ALARM, QUIET] * 10)]
    assert states == ["alarm"] * 20
    over = follow(ALARM, QUIET, QUIET, SUSPICION, QUIET, QUIET)
    assert [state for state, _ in over] == ["alarm"] * 4 + ["quiet"] * 2


@pytest.mark.parametrize("level", sorted(UNJUDGED))
@pytest.mark.parametrize("state", get_args(State)[:3])
def test_a_window_that_is_broken_small_or_unmeasured_changes_nothing(level: Level, state: State) -> None:
    step = next_state(Check(level, "Broken."), Memory(state=state), RULES)
    assert (step.state, step.verdict, step.follows) == (state, level, "nothing")


def test_a_training_that_came_to_nothing_leaves_the_alarm_as_it_was() -> None:
    assert next_state(Check("too_few", "Few."), Memory(state="retraining"), RULES).state == "alarm"


def test_what_makes_a_training_come_too_early_waits() -> None:
    assert answered(replace(ALARM, new_rows=199)) == ("wait", "nothing")
    assert answered(seconds_since_grant=599.0) == ("wait", "nothing")
    assert answered(open_training="retrain__1") == ("wait", "nothing")
    assert answered(seconds_since_grant=600.0) == ("retrain", "retrain")


def test_broken_data_and_skew_are_never_answered_by_a_training() -> None:
    for question in ("validity", "skew"):
        assert answered(replace(ALARM, question=question)) == ("incident", "nothing")


def test_an_open_breaker_and_a_spent_budget_stop_and_page() -> None:
    budget = RULES.model_copy(update={"retrain_budget": RetrainBudget(runs=2, seconds=100)})

    assert answered(failures_in_a_row=3) == ("stopped", "page")
    assert answered(failures_in_a_row=2) == ("retrain", "retrain")
    assert answered(rules=budget, runs=2) == ("stopped", "page")
    assert answered(rules=budget, runs=1, seconds=60, dearest_seconds=60) == ("stopped", "page")
    assert answered(rules=budget, runs=1, seconds=40, dearest_seconds=40) == ("retrain", "retrain")


def test_a_budget_of_no_runs_never_retrains_and_says_so() -> None:
    none = RULES.model_copy(update={"retrain_budget": RetrainBudget(runs=0)})
    step = next_state(ALARM, Memory(), none)
    assert (step.verdict, step.follows) == ("stopped", "page")
    assert "monitor.retrain_budget.runs is 0" in step.why


def test_new_fields_and_retrains_that_do_not_last_ask_a_person_for_a_full_rebuild() -> None:
    wind = next_state(replace(ALARM, new_fields=("wind",)), Memory(), RULES)
    assert (wind.verdict, wind.follows) == ("ask", "rebuild")
    assert "the new field 'wind'" in wind.why
    assert answered(light_in_a_row=4) == ("ask", "rebuild")
    assert answered(light_in_a_row=3) == ("retrain", "retrain")


def test_an_alarm_on_probation_asks_a_person() -> None:
    assert answered(checks_since_retrain=0) == ("ask", "ask")
    assert answered(checks_since_retrain=3) == ("retrain", "retrain")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("suggest", ("suggest", "suggest")), ("approve", ("ask", "ask")), ("auto", ("retrain", "retrain"))],
)
def test_the_mode_says_who_decides(mode: str, expected: tuple[Verdict, Follows]) -> None:
    assert answered(rules=RULES.model_copy(update={"mode": mode})) == expected


def test_the_mode_suggest_says_what_it_would_do_and_asks_nobody() -> None:
    suggest = RULES.model_copy(update={"mode": "suggest"})
    assert answered(replace(ALARM, new_fields=("wind",)), suggest) == ("suggest", "suggest")
    assert "monitor.mode is suggest" in next_state(ALARM, Memory(), suggest).why


def test_a_clock_that_was_set_back_is_named_and_never_retrains() -> None:
    step = next_state(ALARM, Memory(seconds_since_grant=-86_400.0), RULES)
    assert step.verdict == "wait"
    assert "the clock was set back" in step.why
    apart = next_state(ALARM, Memory(seconds_since_grant=-SECONDS_APART), RULES)
    assert "granted 0 s ago" in apart.why


def test_a_clock_that_is_a_second_behind_hinders_no_training_where_there_is_no_pause() -> None:
    rules = RULES.model_copy(update={"cooldown_seconds": 0})
    assert answered(rules=rules, seconds_since_grant=-1.0) == ("retrain", "retrain")
    assert answered(rules=rules, seconds_since_grant=-SECONDS_APART - 1) == ("wait", "nothing")


def test_an_open_breaker_names_the_command_that_closes_it_as_it_works() -> None:
    step = next_state(ALARM, Memory(failures_in_a_row=9, model="flight_delay"), RULES)
    assert '`perennial breaker flight_delay close --why "..."`' in step.why


@given(check=checks, memory=memories, rules=rules_of_teams)
def test_whatever_is_remembered_only_an_alarm_with_room_and_labels_retrains(
    check: Check, memory: Memory, rules: MonitorSpec
) -> None:
    step = next_state(check, memory, rules)

    if step.follows in {"retrain", "ask", "rebuild"}:
        assert check.level == "alarm"
        assert check.question not in {"validity", "skew"}
        assert check.new_rows >= rules.minimum_new_rows
        assert memory.runs < rules.retrain_budget.runs
        assert memory.failures_in_a_row < rules.breaker_after
        assert memory.open_training is None
    if step.follows == "retrain":
        assert (rules.mode, step.verdict) == ("auto", "retrain")
    if rules.mode == "suggest":
        assert step.follows in {"nothing", "suggest", "page"}
    assert (step.verdict == "retrain") == (step.follows == "retrain")
    assert (step.verdict == "ask") == (step.follows in {"ask", "rebuild"})
    assert (step.state == "retraining") == (memory.open_training is not None)


@given(check=checks, memory=memories, rules=rules_of_teams)
def test_a_decision_that_went_through_json_gives_itself(
    check: Check, memory: Memory, rules: MonitorSpec
) -> None:
    kept = json.loads(json.dumps(to_jsonable_python({"check": check, "memory": memory, "rules": rules})))
    again = next_state(
        TypeAdapter(Check).validate_python(kept["check"]),
        Memory(**kept["memory"]),
        recorded_rules(kept["rules"]),
    )
    assert asdict(again) == asdict(next_state(check, memory, rules))


def test_rules_of_an_earlier_or_a_later_perennial_are_read_as_they_were() -> None:
    earlier = recorded_rules({"minimum_new_rows": 7})
    later = recorded_rules({"mode": "auto", "retrain_budget": {"runs": 2, "watts": 9}, "moon": "full"})

    assert (earlier.minimum_new_rows, earlier.retrain_budget.runs) == (7, RetrainBudget().runs)
    assert later.retrain_budget.runs == 2


def test_every_state_is_reached_and_every_rule_says_why() -> None:
    rules = (*SINCE_THE_CHECK_BEFORE, *AT_THIS_CHECK)
    assert {rule.enters for rule in rules} - {None} == set(get_args(State))
    assert all(rule.why.endswith(".") for rule in rules)
    assert all(rule.reason.endswith(".") for rule in POLICY)
    assert len({rule.name for rule in (*rules, *POLICY)}) == len(rules) + len(POLICY)
