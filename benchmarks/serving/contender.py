"""What a contender is: how it is started, and how it is asked."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks.serving.model import ServedModel
from benchmarks.serving.processes import wait_until_dead

CONTENT = {"Content-Type": "application/json"}
READY_SECONDS = 90


@dataclass(frozen=True)
class Target:
    """An address that answers.

    Attributes:
        body: What it is asked, as JSON.
        answer_of: The label and its probability in the JSON document that it answers.
    """

    url: str
    body: Any
    answer_of: Callable[[Any], tuple[int, float]]
    headers: dict[str, str] = field(default_factory=lambda: dict(CONTENT))

    def ask(self) -> tuple[int, float]:
        """What it answers now."""
        response = requests.post(self.url, json=self.body, headers=self.headers, timeout=20)
        if not response.ok:
            raise requests.RequestException(f"{response.status_code}: {response.text[:500]}")
        return self.answer_of(json.loads(response.text))


@dataclass(frozen=True)
class Contender:
    """A way to serve the model.

    Attributes:
        says: What it is, in a few words.
        start: Starts it in a folder of its own until the block ends, and says how it is asked.
        missing: Why it cannot be measured here; None where it can.
    """

    name: str
    says: str
    start: Callable[[ServedModel, Path], AbstractContextManager[Target]]
    missing: Callable[[], str | None] = lambda: None


def wait_for(answers: Callable[[], object], process: psutil.Popen, log: Path) -> None:
    """Wait until a server answers.

    Args:
        answers: Raises as `Target.ask` does while it does not.

    Raises:
        SystemExit: It ended, or takes too long.
    """
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            answers()
        except (requests.RequestException, ValueError):
            wait_until_dead(process, log, until)
            time.sleep(0.05)
        else:
            return


def require_the_model(target: Target, model: ServedModel, name: str) -> None:
    """End where a contender does not answer what the model answers: it would serve something else."""
    label, probability = target.ask()
    if label != model.expected[0] or abs(probability - model.expected[1]) > 1e-4:
        raise SystemExit(f"{name} answers {label}, {probability}; {model.expected} was expected.")
