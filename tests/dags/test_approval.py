"""A person is asked in the drift DAG, answers by Airflow's REST API, and the answer reaches the request."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plugins.approval import until_the_next
from tests.dags.runs import RunDag, SetScript, answering, asked, pause, states

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

DRIFT, TRAIN = "drift_review_sentiment", "train_review_sentiment"
WHY = "The traffic moved. monitor.mode is approve: a person says whether it is trained."
ASKS = {"result": {"verdict": "ask", "follows": "ask", "why": WHY}}


def test_what_a_person_approves_is_requested_with_who_and_why(
    user: "TestClient", run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    heavy({"drift": [{}, ASKS]})
    run_dag(DRIFT)  # makes the DAGs known to the database
    pause(TRAIN, paused=False)

    with answering(
        user, {"chosen_options": ["Approve"], "params_input": {"why": "It is real."}}
    ) as questions:
        run = run_dag(DRIFT)

    assert questions[0]["subject"] == "Is review_sentiment trained again?"
    told, waits = questions[0]["body"].split("\n\n")
    assert told == WHY
    assert "other checks of this model stay queued" in waits
    assert (states(run)["approve"], states(run)["retrain"]) == ("success", "success")
    [request] = asked(home, "retrain")
    said = request["approval"]
    assert (said["approved"], said["by"], said["why"]) == (True, "admin", "It is real.")


def test_what_a_person_rejects_is_put_down_too(
    user: "TestClient", run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    refused = {"granted": False, "train_run_id": None, "reason": "admin said no."}
    heavy({"drift": [{}, ASKS], "retrain": [{"result": refused}]})
    run_dag(DRIFT)

    with answering(user, {"chosen_options": ["Reject"], "params_input": {}}):
        run = run_dag(DRIFT)

    [request] = asked(home, "retrain")
    assert (request["approval"]["approved"], request["approval"]["why"]) == (False, "")
    assert states(run)["start_training"] == "skipped"


@pytest.mark.parametrize("verdict", ["suggest", "stopped", "wait", "suspicious"])
def test_nobody_is_asked_where_nothing_is_to_be_decided(
    run_dag: RunDag, heavy: SetScript, home: Path, verdict: str
) -> None:
    heavy({"drift": [{"result": {"verdict": verdict, "why": "So it is."}}]})

    run = run_dag(DRIFT)

    assert run.state == "success"
    assert {states(run)[task] for task in ("approve", "retrain", "start_training")} == {"skipped"}
    assert asked(home, "retrain") == []


def test_an_answer_that_nobody_gave_approves_nothing(approve: Callable[..., Any]) -> None:
    said = approve(["Reject"], None)
    assert (said["approved"], said["by"], said["why"]) == (False, None, "")
    assert not approve(["Approve"], None)["approved"]


def test_a_question_lapses_before_the_next_check_is_due() -> None:
    now = datetime(2026, 1, 1, 4, 0, 30, tzinfo=UTC)
    assert until_the_next("0 4 * * *", now) == timedelta(hours=23, minutes=58, seconds=30)
    assert until_the_next("* * * * *", now) == timedelta(minutes=1)
    assert until_the_next("@hourly", now) == timedelta(minutes=58, seconds=30)
    assert timedelta(days=1) < until_the_next("@quarterly", now) < timedelta(days=92)


@pytest.fixture
def approve(airflow_database: None) -> Callable[..., Any]:
    from plugins.approval import AskPerson
    from plugins.watch_forms import answer_form

    task = AskPerson(task_id="approve", subject="?", decision={}, schedule="@daily", params=answer_form())

    def answered(chosen: list[str], user: dict[str, str] | None) -> Any:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        event = {"chosen_options": chosen, "params_input": {"why": None}, "responded_at": at}
        return task.execute_complete({}, {**event, "responded_by_user": user, "timedout": user is None})

    return answered
