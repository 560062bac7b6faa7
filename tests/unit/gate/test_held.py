"""A hold says how many rows it waits for, and is decided again by itself once they are there."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Champion, HeldRequest, ModelVersion, TakeUpRequest, TrainingRun
from tasks.errors import NothingToDo
from tasks.gate import gate
from tasks.gate.awaited_rows import Awaited, awaited_rows
from tasks.gate.rules.superiority import better_than_champion
from tasks.ledger import entries
from tasks.release import held as asking
from tasks.release.held import held
from tasks.release.take_up import take_up
from tasks.stores import registry
from tasks.stores.lake import Lake
from tests.unit import judged
from tests.unit.judged import anchor, archive, evaluation, request, run, set_score, sets
from tests.unit.reviews import as_table, context, reviews

AT = datetime(2026, 2, 1, tzinfo=UTC)
GATE = judged.SPEC.gate.model_copy(update={"anchor_age_days": 0})
SPEC = judged.SPEC.model_copy(update={"gate": GATE})


def judge(spec: Any = SPEC, **how: Any) -> None:
    gate.judge(request(spec=spec, evaluation=evaluation(**how)), AT)


def awaited() -> tuple[Awaited, ...] | None:
    return awaited_rows(entries.history()[-1])


def test_what_a_hold_tells_is_what_it_waits_for(home: Path) -> None:
    judge(candidate=0.905, width=0.01)

    [waits] = awaited() or ()

    told = better_than_champion(evaluation(candidate=0.905, width=0.01), GATE, judged.LOOK).why
    assert waits == Awaited("superiority.accuracy", 2903, "test")
    assert "about 3,000 test rows" in told


def test_a_look_at_hardly_more_rows_is_not_paid_for(home: Path) -> None:
    """Where the estimate is near, a fifth more are waited for; where it was exceeded, the candidate is not
    better by what matters, and none are.
    """
    judge(candidate=0.9, width=0.006)
    near = awaited()
    judge(candidate=0.9, width=0.002)

    assert near is not None
    assert near[0].rows == 1200
    assert awaited() is None


@pytest.mark.parametrize(
    ("how", "waits"),
    [
        ({"candidate": 0.9, "width": 0.01}, [("superiority.accuracy", "test")]),
        ({"candidate": 0.9, "latency": True}, None),
        ({"candidate": 0.8}, None),
        ({"candidate": 0.92}, None),
        ({"candidate": 0.92, "sets": sets(set_score(0.2), anchor=anchor(set_score(0.9)))}, None),
    ],
)
def test_only_what_more_rows_can_show_is_waited_for(home: Path, how: dict[str, Any], waits: Any) -> None:
    """A slow archive, a worse one, one that was promoted and a label incident wait for no rows."""
    if how.pop("latency", False):
        how["scored"] = judged.score("candidate", 0.9, latency_p95_seconds=None)
    judge(**how)

    found = awaited()

    assert (found and [(each.rule, each.of) for each in found]) == waits


def test_after_drift_the_newest_rows_and_the_anchor_are_waited_for(home: Path) -> None:
    newest, scored = set_score(0.75, 0.004, rows=1200), set_score(0.9, -0.02, width=0.02)
    rules = GATE.model_copy(update={"policy": "after_drift"})
    parts = sets(newest, anchor=anchor(scored), suspect=set_score(0.9))
    judge(SPEC.model_copy(update={"gate": rules}), candidate=0.9, sets=parts)

    found = awaited()

    assert found is not None
    assert [(each.rule, each.of) for each in found] == [
        ("newest_rows.accuracy", "newest"),
        ("anchor.accuracy", "test"),
    ]
    assert found[1].rows > 2000


# --- asked for ----------------------------------------------------------------------------------------------


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A champion, and the registry's record of whatever run it is asked for."""
    version = ModelVersion(
        model=SPEC.name,
        version="1",
        run_id=judged.CHAMPION,
        archive=archive(),
        decision_ledger_hash="",
        tags={},
    )
    found = Champion(model=SPEC.name, version=version, serves=True)
    monkeypatch.setattr(asking, "tell_champion", lambda _: found)
    trained = run()
    monkeypatch.setattr(registry, "training_run", lambda _: trained)
    return trained


def ask(home: Path) -> Any:
    return held(HeldRequest(context=context(home, "held"), spec=SPEC))


def test_a_held_candidate_waits_until_its_rows_are_there_and_is_taken_up_as_it_was_trained(
    home: Path, serving: TrainingRun
) -> None:
    lake = Lake()
    lake.append("reviews", as_table(reviews(500)), batch_id="first")
    with pytest.raises(NothingToDo, match="No candidate of 'review_sentiment' is held"):
        ask(home)
    judge(candidate=0.9, width=0.006)
    with pytest.raises(NothingToDo, match=r"entry 1 stays held: .* rows, and there are about 100\."):
        ask(home)

    lake.append("reviews", as_table(reviews(6000, 500)), batch_id="second")
    found = ask(home)

    assert (found.run_id, found.entry) == (judged.RUN, 1)
    assert "superiority.accuracy waits for 1,200 test rows, and there are about 1,300." in found.why
    newer = judged.snapshot().model_copy(
        update={"test": judged.snapshot().test.model_copy(update={"sha256": "0" * 64}), "table_version": 9}
    )
    again = take_up(TakeUpRequest(context=context(home, "take"), spec=SPEC, held=found, snapshot=newer))
    assert (again.run_id, again.parameters) == (serving.run_id, serving.parameters)
    assert (again.snapshot.test, again.snapshot.train) == (newer.test, serving.snapshot.train)
    assert again.snapshot.sha256 not in {serving.snapshot.sha256, newer.sha256}


def test_what_more_rows_do_not_change_stays_held(home: Path, serving: TrainingRun) -> None:
    judge(scored=judged.score("candidate", 0.9), sets=sets(set_score(0.2), anchor=anchor(set_score(0.9))))
    with pytest.raises(NothingToDo, match=r"for a reason that more rows alone do not change: .*incident"):
        ask(home)
