"""A granted retrain request is closed when its training run ends, however it ends."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tasks.monitoring import retrain
from tests.dags.runs import RunDag, SetScript, grant

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

TRAIN = "train_review_sentiment"


@pytest.mark.parametrize(
    ("day", "script", "state"),
    [(1, {}, "success"), (2, {"snapshot": [{"exit": 10, "error": "No."}]}, "failed")],
)
def test_a_request_is_closed_when_its_run_ends(
    run_dag: RunDag, heavy: SetScript, day: int, script: dict[str, Any], state: str
) -> None:
    heavy(script)
    grant(f"manual__2026-02-0{day}T00:00:00+00:00")

    run = run_dag(TRAIN, at=datetime(2026, 2, day, tzinfo=UTC))

    assert run.state == state
    assert not retrain.open_requests()


def test_another_run_closes_nothing(run_dag: RunDag, heavy: SetScript) -> None:
    heavy({"snapshot": [{"exit": 10, "error": "No."}]})
    grant("retrain__0a1b")
    run_dag(TRAIN)
    assert retrain.open_requests()


def test_a_request_is_closed_when_a_person_marks_its_run_failed(
    user: "TestClient", run_dag: RunDag, heavy: SetScript
) -> None:
    run_dag("collect_review_sentiment")  # makes the DAGs known to the database
    grant("retrain__0a1b")
    runs = f"/api/v2/dags/{TRAIN}/dagRuns"
    assert (
        user.post(runs, json={"dag_run_id": "retrain__0a1b", "logical_date": None, "conf": {}}).status_code
        == 200
    )

    assert user.patch(f"{runs}/retrain__0a1b", json={"state": "failed"}).status_code == 200

    assert user.get(f"{runs}/retrain__0a1b").json()["state"] == "failed"
    assert not retrain.open_requests()
