"""A model at a glance: what its card says is what its newest entries say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Action, FailedRun, LateRun, ModelFigures, Objective
from tasks.errors import LedgerBroken
from tasks.ledger import entries
from tasks.monitoring.alerts.late import note_late
from tasks.monitoring.alerts.records import note_failed
from tasks.monitoring.slo.figures import keep
from tasks.overview.details import drift_over_time, scores_over_time, versions_of
from tasks.overview.evidence import evidence_of
from tasks.overview.look import decision, detail, overview
from tests.unit.overview.past import DAY, MODEL, Past, lived

pytestmark = pytest.mark.usefixtures("home")


def test_a_card_says_what_serves_why_how_well_and_what_the_last_check_said() -> None:
    lived()
    told = entries.history(MODEL)
    [card] = overview([MODEL])

    switch = next(each for each in reversed(told) if each.action == Action.DEPLOY)
    gate = next(
        each for each in told if each.after == "promote" and each.evidence["decision"]["run_id"] == "2" * 32
    )
    check = next(each for each in reversed(told) if each.action == Action.DRIFT)
    assert card.served is not None
    assert (card.served.version, card.served.since, card.served.entry) == ("2", switch.at, switch.sequence)
    assert (card.served.promoted_why, card.served.gate_entry) == (gate.why, gate.sequence)
    assert card.score is not None
    assert (card.score.metric, round(card.score.value, 3)) == ("accuracy", 0.92)
    assert card.score.low < card.score.value < card.score.high
    assert card.watch is not None
    assert (card.watch.state, card.watch.verdict, card.watch.why) == ("alarm", check.after, check.why)
    assert card.last is not None
    assert card.last.sequence == told[-1].sequence, "the quarantined batch"
    assert {each.reason for each in card.troubles} >= {"quarantine"}


def test_a_model_without_a_past_has_an_empty_card_and_a_table_has_none() -> None:
    entries.record(
        model="reviews",
        actor="a",
        action=Action.INGEST,
        before=None,
        after="published",
        why="w",
        evidence={"rows": 1},
    )
    [card] = overview(["fresh"])
    assert (card.model, card.served, card.watch, card.last) == ("fresh", None, None, None)


def test_a_withdrawn_model_serves_nothing_and_a_rollback_serves_what_it_names() -> None:
    past = lived()
    past.switched(1, before=2, action=Action.ROLLBACK)
    [card] = overview([])
    assert card.served is not None
    assert card.served.version == "1"
    entries.record(
        model=MODEL,
        actor="a",
        action=Action.WITHDRAW,
        before="1",
        after=None,
        why="w",
        evidence={"route": None},
    )
    [card] = overview([])
    assert card.served is None


def test_the_split_of_a_release_is_there_while_it_is_under_way() -> None:
    past = Past()
    past.judged(1)
    past.switched(1)
    past.released(2, "stage", stable=1)
    [card] = overview([])
    assert card.split is not None
    assert (card.split.version, card.split.share, card.split.stage) == ("2", 0.1, "canary_10")
    past.released(2, "roll_back", stable=1)
    [card] = overview([])
    assert card.split is None


def test_the_score_of_what_serves_is_found_where_its_own_judgement_is_long_ago() -> None:
    past = Past()
    past.judged(1)
    past.switched(1)
    for number in range(13):
        past.judged(3, gain=0.0, champion=1, try_number=number)
    [card] = overview([])
    assert card.served is not None
    assert card.served.gate_entry is None
    assert card.score is not None
    assert card.score.value == 0.9


def test_the_timeline_is_in_pages_and_leaves_out_what_follows_from_others() -> None:
    past = Past()
    entry = past.judged(1)
    entries.complete(entry, "done")
    for number in range(45):
        past.judged(3, gain=0.0, champion=1, try_number=number)

    first = detail(MODEL)
    assert (len(first.lines), first.older) == (40, first.lines[-1].sequence)
    rest = detail(MODEL, before=first.older)
    assert (len(rest.lines), rest.older) == (6, None)
    assert all(line.action == "gate" for line in (*first.lines, *rest.lines))
    assert "done" in {line.action for line in detail(MODEL, before=first.older, everything=True).lines}


def test_an_entry_is_shown_with_its_own_model_alone() -> None:
    entry = Past().judged(1)
    assert decision(MODEL, entry.sequence) == entry
    assert decision("another", entry.sequence) is None
    assert decision(MODEL, 99) is None


def test_versions_say_what_became_of_them_and_what_they_came_from() -> None:
    lived()
    seen = detail(MODEL)
    assert [(each.number, each.serves) for each in seen.versions] == [("2", True), ("1", False)]
    newest = seen.versions[0]
    assert newest.says.startswith("Serves, or served")
    assert newest.tables == ("reviews v3",)
    assert seen.quarantined == ("batch-7",)
    assert seen.lineage is not None
    assert [box.title for box in seen.lineage.boxes] == [
        "data",
        "test rows",
        "training run",
        "gate",
        "archive",
        "version",
    ]


def test_the_overview_says_what_the_model_s_own_page_says_is_wrong(home: Path) -> None:
    lived()
    late = LateRun(dag_id=f"train_{MODEL}", run_id="r", name=MODEL, deadline=DAY)
    note_late(late)
    failed = FailedRun(dag_id=f"drift_{MODEL}", run_id="f", name=MODEL, since=DAY, tasks=("drift",))
    note_failed(failed, DAY)
    keep(missed())
    [card] = overview([MODEL])
    seen = detail(MODEL)
    assert {each.reason for each in card.troubles} == {each.reason for each in seen.card.troubles}
    assert {"late", "failed_step", "objective"} <= {each.reason for each in card.troubles}
    assert seen.figures == missed()


def test_accuracy_in_service_is_what_the_newest_check_saw_of_each_window_with_releases_and_thresholds() -> (
    None
):
    lived()
    drawn = detail(MODEL).accuracy
    assert drawn is not None
    checks = [each for each in entries.history(MODEL) if each.action == Action.DRIFT]
    newest = {
        window["start"]: (window["value"], window["labelled"], check.sequence)
        for check in checks
        for window in check.evidence["measured"]["windows"]
    }
    points = [dot.point for dot in drawn.dots]
    assert [(each.value, int(each.label.split()[0]), each.entry) for each in points] == list(newest.values())
    assert [each.kind for each in points] == ["good", "good", "warn"]
    assert {each.limit for each in points} == {0.89}
    assert drawn.limit_path


def test_without_labels_and_of_checks_of_before_no_accuracy_is_drawn() -> None:
    Past().judged(1)
    entries.record(
        model=MODEL,
        actor="a",
        action=Action.DRIFT,
        before="1",
        after="quiet",
        why="w",
        evidence={"decision": {}},
    )
    assert detail(MODEL).accuracy is None


def missed() -> ModelFigures:
    """A model that misses what its users are promised."""
    objective = Objective(
        name="freshness",
        promise="what serves is at most 30 days old",
        target=0.95,
        window_days=30,
        total=100.0,
        good=50.0,
        value=None,
        budget_left=-9.0,
        burning="no",
        burns=(),
        kept="missed",
        why="It was older for half of the time.",
        troubled_since=DAY,
    )
    return ModelFigures(
        model=MODEL,
        at=DAY,
        model_version="2",
        serving_since=DAY,
        promoted_at=DAY,
        state="quiet",
        checked_at=DAY,
        labelled=0,
        accuracy=None,
        latency_seconds=None,
        objectives=(objective,),
    )


def of_other_shapes(known: Any, deep: int = 3) -> Iterator[Any]:
    """The same with one of its parts missing, or with something else in its place."""
    places = known.items() if isinstance(known, dict) else enumerate(known) if isinstance(known, list) else ()
    for place, value in list(places):
        for other in (None, "x", 7, True, [], ["x"], {}, {"x": 1}):
            changed = known.copy()
            changed[place] = other
            yield changed
        if isinstance(known, dict):
            yield {name: each for name, each in known.items() if name != place}
        for inner in of_other_shapes(value, deep - 1) if deep > 1 else ():
            changed = known.copy()
            changed[place] = inner
            yield changed


def test_what_has_another_shape_is_not_shown_and_takes_nothing_else_from_the_page() -> None:
    lived()
    told = entries.history(MODEL)
    newest = {entry.action: entry for entry in told}.values()
    for entry in newest:
        others = [each for each in told if each is not entry]
        for evidence in of_other_shapes(entry.evidence):
            changed = entry.model_copy(update={"evidence": evidence})
            evidence_of(changed)
            own = [*others, changed]
            assert "1" in {each.number for each in versions_of(own)}
            assert scores_over_time(own) is not None
            assert drift_over_time(own) is not None


def test_an_entry_that_cannot_be_understood_costs_no_other_model_its_card() -> None:
    lived()
    odd = Past("odd")
    odd.switched(1)
    odd.released(2, "stage", stable=1, until="some day")

    known, other = overview([MODEL, "odd"])

    assert (known.model, known.unreadable) == (MODEL, "")
    assert known.served is not None
    assert other.model == "odd"
    assert "cannot be understood" in other.unreadable
    with pytest.raises(LedgerBroken, match="about odd cannot be understood"):
        detail("odd")


def test_a_rollback_has_a_version_to_go_back_to_only_where_one_served_before() -> None:
    past = Past()
    past.switched(1)
    assert detail(MODEL).before is None
    past.switched(2, before=1)
    assert detail(MODEL).before == "1"
    past.switched(1, before=2, action=Action.ROLLBACK)
    assert detail(MODEL).before is None, "what was rolled back from does not count"
    past.switched(3, before=1)
    assert detail(MODEL).before == "1"
    entries.record(
        model=MODEL, actor="a", action=Action.WITHDRAW, before="3", after=None, why="w", evidence={}
    )
    past.switched(4)
    assert detail(MODEL).before is None, "nothing from before it was withdrawn does"
