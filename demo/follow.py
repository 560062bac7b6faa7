"""Follow what Airflow does by itself: files that are ingested,
a run that something started, a promotion under load.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from demo.airflow import POLL_SECONDS, Airflow, seconds_of
from demo.failure import StepFailed, require
from demo.report import Promotion
from demo.telling import Telling
from demo.traffic import ConstantLoad

ANSWERS_OF_THE_NEW = 40


def wait_for_published(
    airflow: Airflow, dag_id: str, *, rows: int, stalled_seconds: float, tell: Callable[[str], None]
) -> tuple[int, int]:
    """Wait until the ingest runs have published or quarantined `rows` rows together; returns both counts.

    A run that had failed before is nothing to this wait: files that one leaves are the next one's.

    Raises:
        StepFailed: An ingest run failed, or no run has ended for `stalled_seconds`.
    """
    failed_before = {run["dag_run_id"] for run in airflow.runs(dag_id) if run["state"] == "failed"}
    known, until = -1, time.monotonic() + stalled_seconds
    while True:
        runs = [run for run in airflow.runs(dag_id) if run["dag_run_id"] not in failed_before]
        for failed in (run["dag_run_id"] for run in runs if run["state"] == "failed"):
            airflow.wait(dag_id, failed, stalled_seconds=stalled_seconds)
        results = [
            airflow.result(dag_id, run["dag_run_id"], "ingest") for run in runs if run["state"] == "success"
        ]
        published = sum(result["published_rows"] for result in results)
        quarantined = sum(result["quarantined_rows"] for result in results)
        if published + quarantined >= rows and all(run["state"] == "success" for run in runs):
            return published, quarantined
        if len(results) != known:
            known, until = len(results), time.monotonic() + stalled_seconds
        if time.monotonic() > until:
            raise StepFailed(
                f"{dag_id} has published {published} of {rows} rows and no more for {stalled_seconds:.0f} s."
            )
        tell(f"{published:,} of {rows:,} rows published by {len(results)} runs")
        time.sleep(POLL_SECONDS)


def wait_for_run(
    airflow: Airflow, dag_id: str, cause: str, *, timeout_seconds: float, other_than: Collection[str] = ()
) -> str:
    """Wait until something else has started a run of the DAG; returns its id.

    Raises:
        StepFailed: Nothing started it within `timeout_seconds`.
    """
    until = time.monotonic() + timeout_seconds
    while time.monotonic() < until:
        for run in airflow.runs(dag_id):
            if run["dag_run_id"] not in other_than:
                return str(run["dag_run_id"])
        time.sleep(POLL_SECONDS)
    raise StepFailed(
        f"{cause} should have started a run of {dag_id} within {timeout_seconds:.0f} s, but there is none."
    )


def follow_training(airflow: Airflow, dag_id: str, run_id: str, load: ConstantLoad) -> dict[str, Any]:
    """What a finished training run measured and decided;
    waits until its model has answered the load's requests.

    Raises:
        StepFailed: The gate did not promote, or the new model does not answer.
    """
    decision = airflow.result(dag_id, run_id, "gate")
    require(
        decision["verdict"] == "promote",
        f"The gate should promote, but says {decision['verdict']}: {decision['why']}",
    )
    load.wait_for_answers(decision["run_id"], answers=ANSWERS_OF_THE_NEW, timeout_seconds=60)
    evaluation = airflow.result(dag_id, run_id, "evaluate")
    tasks = airflow.tasks(dag_id, run_id)
    return {
        "airflow_run_id": run_id,
        "mlflow_run_id": decision["run_id"],
        "verdict": decision["verdict"],
        "why": decision["why"],
        "accuracy": primary_metric(evaluation["candidate"], evaluation["primary_metric"]),
        "accuracy_by_source": {
            score["value"]: score["metric"]["value"] for score in evaluation["candidate"]["slices"]
        },
        "run_seconds": seconds_of(airflow.run(dag_id, run_id)),
        "task_seconds": {task["task_id"]: seconds_of(task) for task in tasks if task["state"] == "success"},
    }


def primary_metric(score: dict[str, Any], name: str) -> float:
    """The value of one metric of a ModelScore."""
    return float(next(metric["value"] for metric in score["metrics"] if metric["name"] == name))


@contextmanager
def under_load(load: ConstantLoad, telling: Telling, models: list[str]) -> Iterator[ConstantLoad]:
    """Run a promotion under constant load, report what the load met, and require that no request failed.

    Args:
        load: Sends requests for as long as the block runs.
        telling: Keeps the promotion in its report, also when the block fails.
        models: The MLflow runs that were promoted so far; the last is the one that this block promoted.
    """
    try:
        with load:
            yield load
    finally:
        telling.report.promotions.append(
            Promotion(
                run_id=models[-1] if models else "",
                load_requests=load.sent,
                load_refused_before_first=load.before_first,
                load_failures=load.failures,
                answers_by_run=load.served_by,
                slowest_seconds=round(load.slowest_seconds, 3),
            )
        )
    slowest = f"the slowest took {load.slowest_seconds * 1000:.0f} ms"
    telling.say(f"constant load: {load.sent} requests, {len(load.failures)} failed, {slowest}")
    require(
        not load.failures, f"{len(load.failures)} requests failed during the promotion: {load.failures[:3]}"
    )
