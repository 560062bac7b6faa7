"""What the demo asks of Airflow, through its public REST
API: unpause, trigger, wait, and read a task's result.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import requests

from cli import airflow
from demo.failure import StepFailed
from tasks.errors import InvalidRequest, PerennialError

FINISHED = {"success", "failed"}
POLL_SECONDS = 1.0
OTHERS_SECONDS = 10.0
SHARED_POOL = "default_pool"  # Airflow's own, in which every task is that names no other


class Airflow(airflow.Airflow):
    """The command's client, patient with a busy machine, whose faults are the story's.

    Args:
        url: Where Airflow's API server answers, for example `http://127.0.0.1:8080`.
        token: Gives a bearer token of Airflow's `POST /auth/token`.
    """

    def __init__(self, url: str, token: Callable[[], str]) -> None:
        super().__init__(url, token, retries=8)

    def call(self, method: str, path: str, *, below: str = airflow.API, **how: Any) -> Any:
        """Call a path of the REST API and return the answer's JSON.

        Raises:
            StepFailed: Airflow answered with an error; the message holds its own explanation.
        """
        with _faults_of_the_story():
            return super().call(method, path, below=below, **how)

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run as the Trigger button does and return its id; `conf` holds values of the form's fields.

        Raises:
            StepFailed: Airflow answered with an error.
        """
        with _faults_of_the_story():
            return self.start(dag_id, conf)

    def wait_for_dags(self, dag_ids: list[str], *, timeout_seconds: float) -> None:
        """Wait until the DAG processor has published every DAG of `dag_ids`."""
        until = time.monotonic() + timeout_seconds
        while missing := [dag_id for dag_id in dag_ids if not self._is_whole(dag_id)]:
            if time.monotonic() > until:
                errors = self.call("GET", "/importErrors")["import_errors"]
                raise StepFailed(
                    f"The DAGs {sorted(missing)} did not appear within {timeout_seconds:.0f} s. "
                    f"Import errors: {[error['stack_trace'][-500:] for error in errors] or 'none'}"
                )
            time.sleep(POLL_SECONDS)

    def _is_whole(self, dag_id: str) -> bool:
        """Whether it can be asked for its runs: a busy Airflow lists a DAG seconds before that."""
        with _faults_of_the_story():
            try:
                super().call("GET", f"/dags/{dag_id}/details")
            except InvalidRequest:
                return False
            return True

    def dag_ids(self) -> set[str]:
        return {dag["dag_id"] for dag in self.call("GET", "/dags?limit=100")["dags"]}

    def unpause(self, dag_id: str) -> None:
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def read_again(self, dag_id: str) -> None:
        """Have the DAG's file read now: a folder is watched for a DAG that was unpaused only after that, and
        the platform in containers reads its files every five minutes.

        Raises:
            StepFailed: Airflow answered with an error; not where somebody has just asked for the same.
        """
        path = f"/parseDagFile/{self.call('GET', f'/dags/{dag_id}')['file_token']}"
        with _faults_of_the_story():
            answer = self._answer_in_time("PUT", f"{airflow.API}{path}")
            if answer.status_code != airflow.ALREADY_THERE:
                self._checked(answer, "PUT", path)

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The newest 100 runs of a DAG, newest first."""
        runs: list[dict[str, Any]] = self.call("GET", f"/dags/{dag_id}/dagRuns?order_by=-id&limit=100")[
            "dag_runs"
        ]
        return runs

    def has_run(self, dag_id: str, run_id: str) -> bool:
        return any(run["dag_run_id"] == run_id for run in self.runs(dag_id))

    def wait(
        self,
        dag_id: str,
        run_id: str,
        *,
        stalled_seconds: float,
        tell: Callable[[str], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Wait until a run has succeeded, telling which task is at work.

        Raises:
            StepFailed: The run failed, or did not go on for `stalled_seconds`; names the tasks that did not
                succeed.
        """
        run = self.wait_for_end(dag_id, run_id, stalled_seconds=stalled_seconds, tell=tell)
        if run["state"] != "success":
            raise StepFailed(
                f"{dag_id} ended as {run['state']}: {self._states(dag_id, run_id)}. See "
                f"{self.page(dag_id, run_id)}"
            )
        return run

    def wait_for_end(
        self,
        dag_id: str,
        run_id: str,
        *,
        stalled_seconds: float,
        tell: Callable[[str], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Wait until a run has succeeded or failed, however long that takes, as long as it goes on.

        Raises:
            StepFailed: For `stalled_seconds`, no task has changed its state, neither of the run nor of those
                before it: the other runs of its DAG, and the tasks in the pools that it needs. The whole run
                has no limit: how long it takes is the machine's affair.
        """
        known: list[tuple[str, ...]] = []
        before: list[dict[str, Any]] = []
        look = time.monotonic()
        until = look + stalled_seconds
        while (run := self.run(dag_id, run_id))["state"] not in FINISHED:
            tasks = self.tasks(dag_id, run_id)
            if time.monotonic() >= look:  # seldom: the answer costs Airflow more than all that is of the run
                before = self._before(dag_id, tasks)
                look = time.monotonic() + min(OTHERS_SECONDS, stalled_seconds / 4)
            progress = [_state(task) for task in [*tasks, *before]]
            if progress != known:
                known, until = progress, time.monotonic() + stalled_seconds
            if time.monotonic() > until:
                raise StepFailed(
                    f"{dag_id} has not gone on for {stalled_seconds:.0f} s: {self._states(dag_id, run_id)}"
                )
            tell(_at_work(dag_id, tasks))
            time.sleep(POLL_SECONDS)
        return run

    def _before(self, dag_id: str, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The tasks at work that a run may have to wait for: of its DAG, and in its tasks' own pools."""
        pools = {task["pool"] for task in tasks} - {SHARED_POOL}
        path = "/dags/~/dagRuns/~/taskInstances?state=running&state=deferred&order_by=id&limit=100"
        at_work: list[dict[str, Any]] = self.call("GET", path)["task_instances"]
        return [task for task in at_work if task["dag_id"] == dag_id or task["pool"] in pools]

    def _states(self, dag_id: str, run_id: str) -> str:
        tasks = self.tasks(dag_id, run_id)
        return ", ".join(
            f"{task['task_id']} is {task['state']}" for task in tasks if task["state"] != "success"
        )


@contextmanager
def _faults_of_the_story() -> Iterator[None]:
    try:
        yield
    except (PerennialError, requests.RequestException) as error:  # the latter where nothing answers a login
        raise StepFailed(str(error)) from error


def seconds_of(run: dict[str, Any]) -> float:
    """How long a run or a task instance took, in seconds, by Airflow's own clock."""
    return (
        datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["start_date"])
    ).total_seconds()


def _state(task: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(task[key]) for key in ("dag_run_id", "task_id", "state", "try_number"))


def _at_work(dag_id: str, tasks: list[dict[str, Any]]) -> str:
    running = [task["task_id"] for task in tasks if task["state"] in {"running", "deferred"}]
    done = sum(task["state"] == "success" for task in tasks)
    return f"{dag_id}: {', '.join(running) or 'waiting'} ({done} of {len(tasks)} tasks done)"
