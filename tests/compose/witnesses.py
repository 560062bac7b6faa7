"""Who looks on while a test breaks things: a client that
never stops asking, and a count of the containers of steps.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar
from urllib.parse import quote

import requests
from docker.errors import APIError

from demo.airflow import Airflow
from tests.compose.stack import Stack

Found = TypeVar("Found")
PAUSE_SECONDS = 0.1
ENDED = (404, 409)
"""What the engine answers when a container's log is asked for: it is gone, and it is just being removed."""


class Client(threading.Thread):
    """Asks a model for one prediction after the other.

    Attributes:
        ids: Of every prediction that it was given.
        refused: Every other answer.
        unreachable: What went wrong where there was no answer at all.
    """

    def __init__(self, stack: Stack, model: str, instance: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.ids: list[str] = []
        self.refused: list[requests.Response] = []
        self.unreachable: list[str] = []
        self._url = f"{stack.address}/v1/models/{model}/predict"
        self._instance = instance
        self._session = requests.Session()
        self._session.verify = str(stack.certificate)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            try:
                answer = self._session.post(self._url, json={"instances": [self._instance]}, timeout=60)
            except requests.RequestException as error:
                self.unreachable.append(str(error))
                continue
            if answer.ok:
                self.ids.append(answer.json()["predictions"][0]["prediction_id"])
            else:
                self.refused.append(answer)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(timeout=90)


class Created(threading.Thread):
    """Takes down each container that is created for a step.

    The engine itself remembers only its last few hundred events.
    """

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        wanted = {"type": "container", "event": "create", "label": f"perennial.installation={stack.project}"}
        self._events = stack.engine.events(decode=True, filters=wanted)
        self._seen: list[dict[str, str]] = []

    def run(self) -> None:
        for event in self._events:
            self._seen.append(event["Actor"]["Attributes"])

    def of(self, run_id: str, task_id: str) -> int:
        """How many were created for a task of a run, by all of its tries."""
        return sum(one["perennial.run"] == run_id and one["perennial.task"] == task_id for one in self._seen)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()
        self.join(timeout=10)


def wait_until(look: Callable[[], Found | None], what: str, *, timeout_seconds: float) -> Found:
    """What `look` finds, as soon as it finds something."""
    until = time.monotonic() + timeout_seconds
    while not (found := look()):
        assert time.monotonic() < until, f"waited {timeout_seconds} s for {what}"
        time.sleep(0.5)
    return found


def task(airflow: Airflow, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
    """A task instance as Airflow describes it: `state`, `try_number`, `hostname` and so on."""
    return next(one for one in airflow.tasks(dag_id, run_id) if one["task_id"] == task_id)


def log(airflow: Airflow, dag_id: str, run_id: str, task_id: str, number: int) -> str:
    """The log of a try, as the pages show it, with what the exceptions in it say."""
    of_the_task = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}"
    path = f"{of_the_task}/logs/{number}?full_content=true"
    lines = airflow.call("GET", path, headers={"Accept": "application/json"})["content"]
    return "\n".join(f"{line['event']} {line.get('error_detail', '')}" for line in lines)


def training(stack: Stack, model: str) -> str | None:
    """The id of the container in which a model is being trained, once it has learnt for a while."""
    for step in stack.steps():
        if (step.labels["perennial.task"], step.labels["perennial.dag"]) == ("train", f"train_{model}"):
            try:
                return str(step.id) if b"epoch 2:" in step.logs() else None
            except APIError as error:
                if error.status_code not in ENDED:
                    raise
                return None
    return None
