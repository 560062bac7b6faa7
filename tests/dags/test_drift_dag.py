"""The drift DAG from end to end: real child processes, the heavy work behind them scripted."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tasks.monitoring import retrain
from tests.dags.runs import RunDag, SetScript, asked, grant, pause, states, tries

DRIFT, TRAIN = "drift_review_sentiment", "train_review_sentiment"
DRIFTED = {"result": {"verdict": "retrain", "why": "The traffic moved."}}


def train_runs() -> dict[str, dict[str, str]]:
    """The configuration of each training that was started, by its run id."""
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        runs = session.scalars(sa.select(DagRun).where(DagRun.run_id.like("retrain%")))
        return {run.run_id: run.conf for run in runs if run.dag_id == TRAIN}


def test_quiet_traffic_asks_for_nothing(run_dag: RunDag, heavy: SetScript, home: Path) -> None:
    run = run_dag(DRIFT)

    assert run.state == "success"
    assert states(run) == {
        "collect": "success",
        "drift": "success",
        "approve": "skipped",
        "retrain": "skipped",
        "start_training": "skipped",
    }
    [request] = asked(home, "drift")
    start, end = (datetime.fromisoformat(request[f"window_{edge}"]) for edge in ("start", "end"))
    assert end - start == timedelta(days=1)
    assert end == run.run_after


def test_a_window_that_is_asked_for_is_the_one_that_is_judged(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    run_dag(DRIFT, {"window_start": None, "window_end": "2026-03-02T00:00:00Z"})

    [request] = asked(home, "drift")
    assert (request["window_start"], request["window_end"]) == (
        "2026-03-01T00:00:00Z",
        "2026-03-02T00:00:00Z",
    )


def test_drift_starts_one_training_with_its_reason_however_often_it_is_decided(
    run_dag: RunDag, heavy: SetScript
) -> None:
    heavy({"drift": [{}, DRIFTED, DRIFTED]})
    run_dag(DRIFT)  # makes the DAGs known to the database
    pause(TRAIN, paused=False)
    grant("retrain__1")

    first, second = run_dag(DRIFT), run_dag(DRIFT)

    assert states(first) == dict.fromkeys(
        ("collect", "drift", "approve", "retrain", "start_training"), "success"
    )
    assert states(second)["start_training"] == "skipped"
    assert train_runs() == {"retrain__1": {"reason": "The traffic moved."}}


def test_the_retrain_of_a_paused_training_is_refused_with_that_reason(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    heavy({"drift": [{}, DRIFTED]})
    run_dag(DRIFT)
    pause(TRAIN)

    run_dag(DRIFT)

    [request] = asked(home, "retrain")
    assert request["hindrance"].startswith(f"The DAG {TRAIN} is paused, so its training would not start.")


def test_a_training_that_is_paused_after_its_retrain_was_granted_is_not_waited_for(
    run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str]
) -> None:
    before = train_runs()
    grant("retrain__2")
    heavy({"drift": [{}, DRIFTED], "retrain": [{"result": {"train_run_id": "retrain__2"}}]})
    run_dag(DRIFT)
    pause(TRAIN)

    run = run_dag(DRIFT)

    assert states(run)["start_training"] == "skipped"
    assert f"The DAG {TRAIN} is paused" in capfd.readouterr().out
    assert train_runs() == before
    assert not retrain.open_requests()


def test_a_ticket_whose_request_is_closed_starts_nothing(
    run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str]
) -> None:
    before = train_runs()
    heavy({"drift": [{}, DRIFTED], "retrain": [{"result": {"train_run_id": "retrain__3"}}]})
    run_dag(DRIFT)
    pause(TRAIN, paused=False)

    run = run_dag(DRIFT)

    assert states(run)["start_training"] == "skipped"
    assert "The request that granted retrain__3 is closed" in capfd.readouterr().out
    assert train_runs() == before


def test_a_window_that_ends_before_it_begins_is_refused_at_the_first_task(
    run_dag: RunDag, heavy: SetScript, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_dag(DRIFT, {"window_start": "2026-03-02T00:00:00Z", "window_end": "2026-03-01T00:00:00Z"})

    assert states(run)["collect"] == "failed"
    assert tries(run)["collect"] == 1
    said = capfd.readouterr().out
    assert "The window ends at 2026-03-01T00:00:00+00:00, not after its start at 2026-03-02" in said
    assert asked(home, "collect") == []


def test_a_refused_retrain_request_starts_nothing(
    run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str]
) -> None:
    before = train_runs()
    refused = {"granted": False, "train_run_id": None, "reason": "One was granted an hour ago."}
    heavy({"drift": [DRIFTED], "retrain": [{"result": refused}]})

    run = run_dag(DRIFT)

    assert run.state == "success"
    assert states(run)["start_training"] == "skipped"
    assert "One was granted an hour ago." in capfd.readouterr().out
    assert train_runs() == before


def test_broken_data_is_an_incident_and_never_a_reason_to_retrain(
    run_dag: RunDag, heavy: SetScript, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    heavy({"drift": [{"result": {"verdict": "incident", "why": "Incident: half of the texts are empty."}}]})

    run = run_dag(DRIFT)

    assert run.state == "failed"
    assert (states(run)["drift"], tries(run)["drift"]) == ("failed", 1)
    assert states(run)["retrain"] == "upstream_failed"
    told = capfd.readouterr().out
    assert "Incident: half of the texts are empty." in told
    assert "Incident: Incident" not in told
    assert asked(home, "retrain") == []
