"""A granted retrain request is closed when its training run ends, however it ends."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tasks.ledger import entries
from tasks.monitoring import retrain
from tasks.monitoring.cost import record_costs
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


def test_what_a_granted_training_took_is_put_down_with_all_tries_and_written_by_a_worker(
    run_dag: RunDag, heavy: SetScript
) -> None:
    heavy({"train": [{"exit": 1, "error": "The network."}, {}]})
    grant("manual__2026-03-01T00:00:00+00:00")

    run_dag(TRAIN, at=datetime(2026, 3, 1, tzinfo=UTC))

    assert not retrain.open_requests()
    assert record_costs("tests") == ["manual__2026-03-01T00:00:00+00:00"]
    [ended] = [entry for entry in entries.history("review_sentiment") if entry.after == "ended"]
    assert (ended.evidence["state"], ended.evidence["unit"]) == ("success", "processor"), "no GPU was seen"
    assert 0 < ended.evidence["seconds"] < 60
    assert record_costs("tests") == []


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
