"""Start a run of Airflow's, as its Trigger button does, and follow it to its end."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli import show
from tasks.errors import InvalidRequest, PerennialError

if TYPE_CHECKING:
    from cli.airflow import Airflow
    from cli.runs import Failure

POLL_SECONDS = 0.5
ENDED = ("success", "failed")


class RunFailed(PerennialError):
    """A run that the command started has failed; the message has what its tasks said, and the command ends
    with the code of what failed.
    """

    def __init__(self, message: str, failures: "Sequence[Failure]", code: int) -> None:
        super().__init__(message)
        self.failures = tuple(failures)
        self.exit_code = code


def start(airflow: "Airflow", dag_id: str, conf: dict[str, Any], *, unpause: bool = False) -> str:
    """Start a run and return its id.

    Raises:
        InvalidRequest: Airflow has no such DAG, its form no such field, Airflow takes no such value, or the
            DAG is paused, so that the run would wait.
        PlatformAway, LoginRefused, AirflowRefused: As `Airflow.call`.
    """
    dag = airflow.get(f"/dags/{dag_id}/details")
    fields = sorted(dag["params"] or {})
    if unknown := sorted(set(conf) - set(fields)):  # Airflow takes any name; the run would fail by it
        raise InvalidRequest(
            f"The form of {dag_id} has no field {', '.join(unknown)}. It has: {', '.join(fields)}."
        )
    if dag["is_paused"]:
        if not unpause:
            raise InvalidRequest(
                f"The DAG {dag_id} is paused, so the run would wait. Switch it on in Airflow's pages "
                f"({airflow.url}/dags/{dag_id}), or ask again with --unpause."
            )
        airflow.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
    return airflow.start(dag_id, conf)


def result_of(airflow: "Airflow", dag_id: str, task_id: str, conf: dict[str, Any]) -> Any:
    """Start a run, follow it to its end, and return what one of its tasks returned.

    Raises:
        InvalidRequest, RunFailed: As `start` and `follow`.
    """
    run_id = start(airflow, dag_id, conf)
    follow(airflow, dag_id, run_id)
    return airflow.result(dag_id, run_id, task_id)


def follow(airflow: "Airflow", dag_id: str, run_id: str) -> None:
    """Wait until a run has ended, telling which task is at work.

    Raises:
        RunFailed: It failed.
    """
    try:
        run = _at_its_end(airflow, dag_id, run_id)
    except KeyboardInterrupt:
        show.tell(f"The run goes on: {airflow.page(dag_id, run_id)}")
        raise
    if run["state"] == "failed":
        from cli.runs import code_of, failures, why_failed

        found, page = failures(airflow, dag_id, run_id), airflow.page(dag_id, run_id)
        raise RunFailed(f"{dag_id} failed. {why_failed(found)}. {page}", found, code_of(found))


def _at_its_end(airflow: "Airflow", dag_id: str, run_id: str) -> dict[str, Any]:
    told = ""
    while (run := airflow.run(dag_id, run_id))["state"] not in ENDED:
        at_work = [task["task_id"] for task in airflow.tasks(dag_id, run_id) if task["state"] == "running"]
        if at_work and (doing := ", ".join(at_work)) != told:
            show.tell(f"{dag_id}: {doing}")
            told = doing
        time.sleep(POLL_SECONDS)
    return run
