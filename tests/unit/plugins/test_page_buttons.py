"""What the Models pages have buttons for, when these are dead, and what counts as failed or held."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from plugins.pages.actions import buttons_of
from plugins.pages.failed_acts import last_of_each
from plugins.pages.form import Button
from plugins.pages.of_airflow import Dag
from tasks.contracts import Action, Silence
from tasks.ledger import entries
from tasks.overview.facts import Card
from tasks.overview.look import detail
from tests.unit.overview.past import MODEL, Past

pytestmark = pytest.mark.usefixtures("home")


def button(key: str) -> Button:
    known = {each: Dag(each, paused=False, next_at=None) for each in ("rollback_model", f"release_{MODEL}")}
    found = buttons_of(MODEL, detail(MODEL), known, lambda _: True)
    return next(each for each in found if each.key == key)


def test_roll_back_is_dead_until_there_is_a_version_to_go_back_to() -> None:
    assert button("rollback").refused == "Nothing serves, so there is nothing to go back from."
    past = Past()
    past.switched(1)
    assert button("rollback").refused.startswith("Before version 1 there is none to go back to")
    past.switched(2, before=1)
    assert button("rollback").refused == ""


def test_a_release_offers_every_version_that_the_ledger_knows() -> None:
    past = Past()
    past.switched(1)
    past.switched(2, before=1)
    offered = dict(button("release").fields[0].choices)
    assert list(offered) == ["2", "1"]
    assert offered["2"] == "it serves now"


def test_the_newest_run_about_the_same_thing_counts() -> None:
    runs = [
        SimpleNamespace(dag_id=dag_id, conf=conf, state=state)
        for dag_id, conf, state in (
            ("recall_batch", {"batch_ids": ["b"]}, "success"),
            ("rollback_model", {"model": "one"}, "success"),
            ("rollback_model", {"model": "two"}, "failed"),
            ("recall_batch", {"batch_ids": ["a"]}, "failed"),
            ("rollback_model", {"model": "one"}, "failed"),
        )
    ]
    counted = [(each.conf.get("model"), each.state) for each in last_of_each(runs)]
    assert counted == [(None, "success"), ("one", "success"), ("two", "failed"), (None, "failed")]


def test_what_is_held_at_the_door_asks_for_a_decision_until_there_is_one() -> None:
    def told(after: str, **evidence: object) -> None:
        entries.record(
            model=MODEL,
            actor="a",
            action=Action.DOOR,
            before="sender:a shop",
            after=after,
            why="They say the same.",
            evidence=evidence,
        )

    told("held", rows=31)
    [held] = detail(MODEL).held
    assert (held.sender, held.rows) == ("a shop", 31)
    assert held.command == f"perennial decide {MODEL} 'sender:a shop' release --why \"...\""
    assert button("decide-sender:a shop").fixed == {"model": MODEL, "sender": "a shop"}
    told("released", rows=20, still_held=11, still_held_for={"flood": 11})
    assert [(each.rows, each.by_reason) for each in detail(MODEL).held] == [(11, (("flood", 11),))]
    told("confirmed", rows=11, still_held=0)
    assert detail(MODEL).held == ()


def test_a_sender_without_a_name_is_called_so() -> None:
    entries.record(
        model=MODEL,
        actor="a",
        action=Action.DOOR,
        before="sender:",
        after="held",
        why="They say the same.",
        evidence={"rows": 31},
    )
    [held] = detail(MODEL).held
    assert held.command == f'perennial decide {MODEL} sender: release --why "..."'
    asked = button("decide-sender:")
    assert asked.label == "Decide on a sender without a name"
    assert asked.told.startswith("Labelled requests of a sender without a name are held at the door")
    assert asked.fixed == {"model": MODEL, "sender": ""}


def test_the_silence_that_holds_the_longest_is_told_of_a_trouble() -> None:
    begun = datetime(2026, 11, 29, tzinfo=UTC)
    of_all, of_drift = (
        Silence(
            model=MODEL, of=of, by="ann", why="w", since=begun, until=begun + timedelta(days=days), entry=1
        )
        for of, days in ((None, 1), ("stopped", 2))
    )
    card = Card(MODEL, silences=(of_all, of_drift))
    assert card.silence_of("stopped") == of_drift
    assert card.silence_of("quarantine") == of_all
    assert Card(MODEL, silences=(of_drift,)).silence_of("quarantine") is None
