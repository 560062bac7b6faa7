"""What the ledger remembers of a model's watch: from real entries, in the order of the ledger."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.contracts import Action, DriftDecision, LedgerEntry, RetrainRequest, StepContext
from tasks.ledger import entries
from tasks.monitoring import closing, retrain
from tasks.monitoring.close_breaker import close_breaker
from tasks.monitoring.cost import Cost, record_costs
from tasks.monitoring.memory import Window, memory_of, remember
from tasks.monitoring.states import next_state, replay
from tasks.monitoring.watch import Check, Level, Memory
from tasks.spec import MonitorSpec
from tasks.spec.monitor import RetrainBudget
from tasks.stores.database import engine
from tests.unit import judged
from tests.unit.monitoring.test_breaker import close_request

MODEL, FIRST = judged.MODEL, "0" * 32
START = datetime(2026, 1, 1, tzinfo=UTC)
EAGER = MonitorSpec(minimum_new_rows=0, cooldown_seconds=0, breaker_after=2, probation_checks=2)
DAY = timedelta(days=1)


def window(day: int) -> Window:
    return START + day * DAY, START + (day + 1) * DAY


def remembered(champion: str = FIRST, **about: Any) -> Memory:
    with engine().connect() as connection:
        return remember(connection, MODEL, champion, **about)


def check(day: int, level: Level, champion: str = FIRST, rules: MonitorSpec = EAGER) -> DriftDecision:
    """Decide on a day as the drift check does, by what the ledger remembers."""
    found = Check(level, f"Day {day} is {level}.", question="input", new_rows=500)
    start, end = window(day)
    memory = remembered(champion, window=(start, end))
    step = next_state(found, memory, rules)
    fields = dict.fromkeys(("domain_auc", "null_auc", "threshold", "validation", "report_url"))
    decision = DriftDecision(
        model=MODEL,
        champion_run_id=champion,
        window_start=start,
        window_end=end,
        window_rows=500,
        reference_rows=500,
        verdict=step.verdict,
        columns=(),
        new_rows=found.new_rows,
        why=step.why,
        state=step.state,
        follows=step.follows,
        **fields,
    )
    entry = entries.record(
        model=MODEL,
        actor=f"airflow:drift/{day}/drift",
        action=Action.DRIFT,
        before=champion,
        after=step.verdict,
        why=step.why,
        evidence={"decision": decision, "check": found, "memory": memory, "rules": rules},
    )
    return decision.model_copy(update={"ledger_hash": entry.entry_hash})


def grant(decision: DriftDecision, rules: MonitorSpec = EAGER) -> str | None:
    """The training that a decision is granted."""
    key = f"drift/{decision.window_end.date()}/retrain"
    context = StepContext(actor=f"airflow:{key}", step_key=key, work_url="unused")
    spec = judged.SPEC.model_copy(update={"monitor": rules})
    return retrain.retrain(RetrainRequest(context=context, spec=spec, decision=decision)).train_run_id


def judge(train_run_id: str, verdict: str, run_id: str, actor: str = "airflow:train") -> LedgerEntry:
    """The gate's entry on the candidate of a training."""
    granted = next(
        (
            entry.entry_hash
            for entry in entries.history(MODEL, [Action.RETRAIN])
            if entry.after == "granted" and entry.evidence["train_run_id"] == train_run_id
        ),
        None,
    )
    return entries.record(
        model=MODEL,
        actor=actor,
        action=Action.GATE,
        before=FIRST,
        after=verdict,
        why="w",
        evidence={"decision": {"run_id": run_id, "rules": []}, "circumstances": {"drift": granted}},
    )


def end(train_run_id: str, seconds: float = 60.0) -> None:
    closing.close(MODEL, train_run_id, cost=Cost("success", seconds))
    record_costs("tests")


def retrained(day: int, verdict: str, run_id: str, rules: MonitorSpec = EAGER, seconds: float = 60.0) -> bool:
    """Whether an alarm on this day was granted a training; its candidate is judged so."""
    decision = check(day, "alarm", rules=rules)
    train_run_id = grant(decision, rules) if decision.verdict == "retrain" else None
    if train_run_id is not None:
        judge(train_run_id, verdict, run_id)
        end(train_run_id, seconds)
    return train_run_id is not None


def test_what_a_training_took_stands_in_the_ledger_and_counts_for_thirty_days(home: Path) -> None:
    assert retrained(1, "promote", "a" * 32, seconds=120)

    [ended] = [entry for entry in entries.history(MODEL, [Action.RETRAIN]) if entry.after == "ended"]
    assert (ended.evidence["seconds"], ended.evidence["unit"]) == (120, "processor")
    assert ended.why.endswith("ended (success) and took 120 processor seconds.")
    now = datetime.now(UTC)
    soon, later = remembered(now=now), remembered(now=now + timedelta(days=31))
    assert (soon.runs, soon.seconds, soon.dearest_seconds) == (1, 120, 120)
    assert (later.runs, later.seconds) == (0, 0)


def test_costs_are_recorded_once_however_often_that_is_asked_for(home: Path) -> None:
    retrained(1, "reject", "a" * 32)
    assert record_costs("tests") == record_costs("others") == []
    assert sum(entry.after == "ended" for entry in entries.history(MODEL, [Action.RETRAIN])) == 1


def test_refused_candidates_in_a_row_open_the_breaker_until_a_person_closes_it(home: Path) -> None:
    assert [retrained(day, "reject", f"{day:032}") for day in (1, 2)] == [True, True]
    stopped = check(3, "alarm")
    assert (stopped.verdict, stopped.follows) == ("stopped", "page")

    close_breaker(close_request("The labels were late; they are here now."))

    assert remembered().failures_in_a_row == 0
    assert "asked for by ann" in str(remembered().breaker_closed_by)
    assert check(4, "alarm").verdict == "retrain"


def test_a_promoted_candidate_ends_the_row_unless_it_did_not_help(home: Path) -> None:
    retrained(1, "reject", "a" * 32)
    retrained(2, "promote", "b" * 32)
    assert remembered().failures_in_a_row == 0

    granted = [each for each in entries.history(MODEL, [Action.RETRAIN]) if each.after == "granted"][-1]
    entries.record(
        model=MODEL,
        actor="tests",
        action=Action.EFFECT,
        before=granted.entry_hash,
        after="did_not_help",
        why="w",
        evidence={},
    )

    assert remembered().failures_in_a_row == 2


def test_a_training_that_failed_before_it_had_a_candidate_counts_neither_way(home: Path) -> None:
    retrained(1, "reject", "a" * 32)
    end(str(grant(check(2, "alarm"))))
    memory = remembered()
    assert (memory.failures_in_a_row, memory.runs) == (1, 2)


def test_a_held_candidate_that_is_promoted_later_was_no_failure(home: Path) -> None:
    retrained(1, "hold", "a" * 32)
    assert remembered().failures_in_a_row == 1
    judge("judge_again", "promote", "a" * 32)
    assert remembered().failures_in_a_row == 0


def test_light_retrains_in_a_row_are_counted_until_a_person_trains(home: Path) -> None:
    for day in (1, 2, 3):
        retrained(day, "promote", f"{day:032}")
    assert remembered().light_in_a_row == 3
    judge("manual", "promote", "f" * 32, actor="airflow:train_m/manual__1/gate, asked for by ann")
    assert remembered().light_in_a_row == 0


def test_a_retrained_champion_is_on_probation_and_one_of_the_clock_is_not(home: Path) -> None:
    retrained(1, "promote", "a" * 32)
    judge("scheduled", "promote", "b" * 32)
    assert remembered("a" * 32).checks_since_retrain == 0
    assert remembered("b" * 32).checks_since_retrain is None

    states = [check(day, level, "a" * 32).state for day, level in ((2, "none"), (3, "too_few"), (4, "none"))]

    assert states == ["probation", "probation", "probation"]
    assert check(5, "none", "a" * 32).state == "quiet"


def test_a_window_that_is_judged_again_counts_once(home: Path) -> None:
    check(1, "alarm")
    for _ in range(5):
        check(2, "none")
    assert check(3, "none").state == "alarm"


def test_entries_of_an_earlier_perennial_without_a_state_are_read_by_their_verdict(home: Path) -> None:
    for day, verdict in ((1, "quiet"), (2, "wait")):
        start, finish = window(day)
        decided = {"window_start": start, "window_end": finish, "verdict": verdict}
        entries.record(
            model=MODEL,
            actor=f"airflow:drift/{day}/drift",
            action=Action.DRIFT,
            before=FIRST,
            after=verdict,
            why="w",
            evidence={"decision": decided, "rules": {}},
        )
    earlier_grant = {"step_key": "k", "drift_decision": "d" * 64, "train_run_id": "retrain__0"}
    entries.record(
        model=MODEL, actor="a", action=Action.RETRAIN, before=None, after="granted", why="w",
        evidence=earlier_grant,
    )  # fmt: skip
    entries.record(
        model=MODEL, actor="a", action=Action.GATE, before=None, after="reject", why="w",
        evidence={"decision": {"run_id": "a" * 32, "rules": []}},
    )  # fmt: skip

    memory = remembered()

    assert (memory.state, memory.levels) == ("alarm", ("alarm", "none"))
    assert (memory.runs, memory.seconds, memory.failures_in_a_row, memory.open_training) == (1, 0, 0, None)


def test_a_renamed_model_begins_anew(home: Path) -> None:
    retrained(1, "reject", "a" * 32)
    with engine().connect() as connection:
        assert remember(connection, "another_name", FIRST) == Memory(model="another_name")


def test_a_clock_that_is_set_back_brings_no_old_state_and_no_new_budget(home: Path) -> None:
    retrained(1, "reject", "a" * 32)
    check(2, "none")
    earlier = datetime.now(UTC) - timedelta(days=400)

    memory = remembered(now=earlier)

    assert (memory.state, memory.levels, memory.runs, memory.seconds) == ("alarm", ("none", "alarm"), 1, 60)
    assert memory.seconds_since_grant is not None
    assert memory.seconds_since_grant < -399 * 86_400


def test_entries_in_another_order_are_remembered_the_same(home: Path) -> None:
    for day in range(1, 6):
        retrained(day, "promote" if day % 2 else "reject", f"{day:032}")
    kept, now = entries.history(MODEL), datetime.now(UTC)
    about = {"open_training": None, "window": None, "now": now}
    assert memory_of(kept, FIRST, **about) == memory_of(kept[::-1], FIRST, **about)


def test_a_source_that_comes_and_goes_for_a_year_never_gets_more_than_the_budget(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year of one check a day: three days of alarm, three quiet ones; every candidate is promoted, and does
    not last. The clock is the ledger's and the requests'."""
    budget = RetrainBudget(runs=2, seconds=500)
    rules = EAGER.model_copy(update={"retrain_budget": budget, "rebuild_after": 10_000})
    clock = Clock(START)
    for module in (entries, retrain, closing, memory_module()):
        monkeypatch.setattr(module, "datetime", clock)
    granted: list[tuple[datetime, float]] = []
    for day in range(365):
        clock.now_is = START + day * DAY
        level: Level = "alarm" if day % 6 < 3 else "none"
        decision = check(day, level, rules=rules)
        if decision.verdict != "retrain":
            continue
        train_run_id = grant(decision, rules)
        assert train_run_id is not None
        judge(train_run_id, "promote", f"{day:032}")
        end(train_run_id, 200.0)
        granted.append((clock.now_is, 200.0))

    for day in range(365):
        month = [each for each in granted if START + (day - 30) * DAY < each[0] <= START + day * DAY]
        assert len(month) <= budget.runs
        assert sum(seconds for _, seconds in month) <= 500
    assert 20 <= len(granted) <= 2 * 13
    assert_each_decision_gives_itself()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(
        st.tuples(
            st.sampled_from(["none", "suspicious", "alarm", "alarm", "incident", "too_few"]),
            st.sampled_from(["promote", "hold", "reject", "fails", "goes on"]),
            st.booleans(),
        ),
        max_size=12,
    ),
    rules=st.builds(
        MonitorSpec,
        mode=st.sampled_from(["suggest", "approve", "auto"]),
        minimum_new_rows=st.just(0),
        cooldown_seconds=st.just(0.0),
        breaker_after=st.integers(1, 3),
        rebuild_after=st.integers(1, 3),
        probation_checks=st.integers(0, 3),
        retrain_budget=st.builds(RetrainBudget, runs=st.integers(0, 4)),
    ),
)
def test_each_decision_of_any_history_replayed_from_the_ledger_gives_itself(
    fresh_ledger: Any, days: list[tuple[Level, str, bool]], rules: MonitorSpec
) -> None:
    fresh_ledger()
    champion, opened = FIRST, None
    for number, (level, outcome, closes) in enumerate(days):
        decision = check(number, level, champion, rules)
        train_run_id = grant(decision, rules) if decision.verdict == "retrain" else None
        if train_run_id and outcome in {"promote", "hold", "reject"}:
            judge(train_run_id, outcome, f"{number:032}")
            champion = f"{number:032}" if outcome == "promote" else champion
        if train_run_id and outcome == "goes on":
            opened = train_run_id
        elif train_run_id:
            end(train_run_id)
        if closes and opened:
            end(opened)
            opened = None
    assert_each_decision_gives_itself()


def assert_each_decision_gives_itself() -> None:
    for entry in entries.history(MODEL, [Action.DRIFT]):
        decision = DriftDecision.model_validate(entry.evidence["decision"])
        step = replay(entry)
        assert (step.verdict, step.state, step.follows, step.why) == (
            decision.verdict,
            decision.state,
            decision.follows,
            decision.why,
        )
    for entry in entries.history(MODEL, [Action.RETRAIN]):
        if entry.after in {"granted", "refused"} and "memory" in entry.evidence:
            said = retrain.replay(entry)
            assert said == (None if entry.after == "granted" else entry.why)


class Clock:
    """Stands in for `datetime` where a module asks what time it is."""

    def __init__(self, now_is: datetime) -> None:
        self.now_is = now_is

    def now(self, _zone: Any = None) -> datetime:
        return self.now_is

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)


def memory_module() -> Any:
    from tasks.monitoring import memory

    return memory


@pytest.fixture
def fresh_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begins with an empty ledger, in a folder of its own, each time that it is called."""
    from tasks.settings import settings as place

    count = iter(range(10_000))

    def begin() -> None:
        monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / str(next(count))))
        place.cache_clear()
        engine.cache_clear()

    yield begin
    place.cache_clear()
    engine.cache_clear()
