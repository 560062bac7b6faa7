"""What the look of each minute keeps for people: what did not agree, since when, and when it looked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.contracts import Mismatch
from tasks.monitoring.loop.beats import beat, newest_beat
from tasks.overview.look import comparison
from tasks.release.agreement import disagreements, looked_at, note, note_settled
from tasks.settings import settings

pytestmark = pytest.mark.usefixtures("home")

AT = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def found(model: str, why: str, kind: Any = "person") -> Mismatch:
    return Mismatch(model=model, kind=kind, entry=None, why=why)


def test_what_is_still_so_keeps_its_time_and_what_is_settled_is_forgotten() -> None:
    note([found("a", "ann moved it."), found("a", "Staging differs.", "environment")], AT)
    note([found("b", "bob moved it."), found("a", "ann moved it.")], AT + MINUTE)

    assert [tuple(each) for each in disagreements()] == [
        ("a", "ann moved it.", AT),
        ("b", "bob moved it.", AT + MINUTE),
    ]
    assert [each.model for each in disagreements("b")] == ["b"]
    assert looked_at() == AT + MINUTE

    note_settled()
    assert disagreements() == []
    assert looked_at() == AT + MINUTE


def test_the_same_found_twice_in_one_look_is_kept_once() -> None:
    note([found("a", "ann moved it."), found("a", "ann moved it.")], AT)
    assert len(disagreements()) == 1


def test_a_loop_that_is_at_work_is_no_comparison() -> None:
    beat(AT)
    assert looked_at() is None
    note([], AT + MINUTE)
    assert newest_beat() == AT


def test_a_comparison_is_late_after_as_long_as_a_silent_loop() -> None:
    allowed = timedelta(minutes=settings().loop_silent_minutes)
    assert comparison(AT).is_late, "there was none yet"
    note([], AT)
    assert not comparison(AT + allowed).is_late
    assert comparison(AT + allowed + MINUTE).is_late
