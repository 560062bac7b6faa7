"""When a step is started, and which granted trainings are given back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.reconciler import STARTS_WITHIN, give_back_unstarted, wanted
from tasks.contracts import Action
from tasks.ledger import entries
from tasks.monitoring import retrain
from tests.dags.runs import grant

ALL = {"models": [], "thorough": True}


@pytest.mark.parametrize(
    ("models", "run_type", "minute", "asked"),
    [
        ([], "scheduled", 7, None),
        (["m"], "scheduled", 7, {"models": ["m"], "thorough": False}),
        ([], "scheduled", 0, ALL),
        ([], "manual", 7, ALL),
    ],
)
def test_a_step_is_started_where_something_differs_once_an_hour_and_when_asked(
    models: list[str], run_type: str, minute: int, asked: dict[str, Any] | None
) -> None:
    at = datetime(2026, 11, 20, 3, minute, tzinfo=UTC)
    assert wanted(models, run_type, at) == asked
    assert wanted(models, run_type, at, is_failing=True) == ALL, "so that a run which succeeds ends the alert"


def test_a_granted_training_that_nothing_started_is_given_back_and_one_that_runs_is_not(home: Path) -> None:
    granted = ("train_review_sentiment", "retrain__1")
    grant(granted[1])
    late = datetime.now(UTC) + STARTS_WITHIN + timedelta(seconds=1)
    assert give_back_unstarted(lambda *_: False, "tests") == []
    assert give_back_unstarted(lambda *run: run == granted, "tests", late) == []

    assert give_back_unstarted(lambda *run: run != granted, "tests", late) == ["retrain__1"]

    assert retrain.open_requests() == []
    [entry] = entries.history("review_sentiment", {Action.RETRAIN})
    assert (entry.before, entry.after, entry.actor) == ("retrain__1", "not started", "tests")
