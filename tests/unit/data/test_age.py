"""A champion that is too old starts a training by itself, and not one a day for ever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.contracts import Action
from tasks.data.age import why_not_yet
from tasks.errors import NothingToDo
from tasks.ledger import entries
from tasks.ledger.champions import champion_times, started_a_granted_training
from tests.unit.data.test_count import FEW, counted, lake

__all__ = ["lake"]

NOW = datetime(2026, 11, 28, 5, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("trained", "judged", "why"),
    [
        (None, None, "No version serves, so none is too old"),
        (29, 29, "The champion is 29.0 days old, and training.maximum_age_days is 30."),
        (31, 31, None),
        (
            31,
            2,
            "2.0 days ago did not take its place: the next is trained 3.0 days after it",
        ),
        (34, 3, None),
    ],
)
def test_an_old_champion_is_a_reason_until_a_candidate_was_judged_a_short_while_ago(
    trained: int | None, judged: int | None, why: str | None
) -> None:
    times = [None if days is None else NOW - DAY * days for days in (trained, judged)]
    told = why_not_yet(*times, 30, NOW)
    assert told is None if why is None else why in (told or "")


def note(action: Action, after: str | None, before: str | None = None, **evidence: object) -> str:
    return entries.record(
        model="review_sentiment", actor="tests", action=action, before=before, after=after, why="So.",
        evidence=evidence,
    ).entry_hash  # fmt: skip


def test_the_age_is_that_of_the_promotion_of_what_serves(home: Path) -> None:
    assert champion_times("review_sentiment") == (None, None)
    note(Action.GATE, "promote", decision={"run_id": "a"})
    note(Action.DEPLOY, "1", route={"run_id": "a"})
    note(Action.GATE, "hold", decision={"run_id": "b"})
    told = {entry.sequence: entry.at for entry in entries.history()}
    assert champion_times("review_sentiment") == (told[1], told[3])
    note(Action.WITHDRAW, None, "1", route=None)
    assert champion_times("review_sentiment")[0] is None


def test_the_count_skips_what_only_the_age_asked_for(home: Path, lake: object) -> None:
    with pytest.raises(NothingToDo, match="No version serves"):
        counted(home, "one", FEW, maximum_age_days=30.0)
    note(Action.GATE, "promote", decision={"run_id": "a"})
    note(Action.DEPLOY, "1", route={"run_id": "a"})
    with pytest.raises(NothingToDo, match=r"is 0\.0 days old, and training\.maximum_age_days is 30\."):
        counted(home, "one", FEW, maximum_age_days=30.0)
    assert counted(home, "one", FEW, maximum_age_days=1e-9).rows == 200


def test_what_a_granted_training_was_asked_for_by_is_in_the_ledger(home: Path) -> None:
    moved, worse = ({"question": question, "level": "alarm"} for question in ("input", "target"))
    for number, signals in enumerate(([moved], [moved, worse], [worse], None)):
        check = note(Action.DRIFT, "retrain", decision={"signals": signals}) if signals else None
        note(Action.RETRAIN, "granted", train_run_id=f"retrain__{number}", drift_decision=check)
    told = [started_a_granted_training("review_sentiment", f"retrain__{number}") for number in range(5)]
    assert told == ["drift", "drift", "performance", "recall", None]
