"""A recall starts the trainings that it was granted, and no other."""

from pathlib import Path
from typing import Any

import pytest

from tests.dags.runs import Dags, RunDag, SetScript, asked, grant, pause, states
from tests.dags.test_drift_dag import TRAIN, train_runs

BATCH = {"batch_ids": ["0a1b", "2c3d"], "reason": "Its labels are inverted."}


def ticket(**changes: Any) -> dict[str, Any]:
    return {
        "model": "review_sentiment",
        "granted": True,
        "train_run_id": "retrain__9",
        "reason": "Recalled.",
        **changes,
    }


def test_a_recall_starts_what_it_was_granted_and_skips_what_was_refused(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    refused = ticket(model="flight_delay", granted=False, train_run_id=None, reason="Ask again in 1 h.")
    heavy({"recall": [{"result": {"tickets": [refused, ticket()]}}, {}]})
    run_dag("collect_review_sentiment")  # makes the DAGs known to the database
    pause(TRAIN, paused=False)
    grant("retrain__9")

    run, nothing = run_dag("recall_batch", BATCH), run_dag("recall_batch", BATCH)

    assert run.state == "success"
    assert {str(ti.state) for ti in run.get_task_instances() if ti.task_id == "start_training"} == {
        "success",
        "skipped",
    }
    assert train_runs()["retrain__9"] == {"reason": "Recalled."}
    assert states(nothing) == {"recall": "success", "tickets": "success", "start_training": "skipped"}
    [first, _] = asked(home, "recall")
    assert (first["batch_ids"], first["table"], first["reason"]) == (["0a1b", "2c3d"], None, BATCH["reason"])


def test_the_form_asks_for_a_batch_and_a_reason(dags: Dags) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    dag = dags()["recall_batch"]
    assert (dag.is_paused_upon_creation, dag.timetable.can_be_scheduled) == (False, False)
    for name, bad in (
        ("batch_ids", ["", [], [""], [" "], None]),
        ("reason", ["", " ", None]),
        ("table", ["", "A b"]),
    ):
        for value in bad:
            with pytest.raises(ParamValidationError):
                dag.params.get_param(name).resolve(value)
