"""Ask a serving image's container through a pipe, which `containers/serving/relay.py` answers inside it."""

import json
import threading
from concurrent.futures import Future
from itertools import count
from typing import Any, TextIO

from tasks.errors import ServingError

GRACE_SECONDS = 10.0
"""For an answer on its way, beyond what the model itself may take."""


class ImageRelay:
    """Questions and answers as lines of JSON, of several callers at once.

    Args:
        questions: Where they are written.
        answers: Where their answers are read, in any order, until it ends.
        timeout_seconds: What the model may take for one.
    """

    def __init__(self, questions: TextIO, answers: TextIO, timeout_seconds: float) -> None:
        self._questions = questions
        self._timeout_seconds = timeout_seconds
        self._turns = count()
        self._open: dict[int, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._has_ended = False
        threading.Thread(target=self._read, args=(answers,), daemon=True).start()

    def ask(self, instance: dict[str, Any]) -> dict[str, Any]:
        """The handler's whole answer to one instance.

        Raises:
            ServingError: The model refuses it, or the container does not answer.
        """
        number, told = next(self._turns), Future[dict[str, Any]]()
        line = {"id": number, "instance": instance, "timeout_seconds": self._timeout_seconds}
        self._send(number, told, json.dumps(line))
        try:
            found = told.result(self._timeout_seconds + GRACE_SECONDS)
        except TimeoutError as error:
            raise ServingError(
                f"The container does not answer within {self._timeout_seconds:g} s."
            ) from error
        if "error" in found:
            raise ServingError(f"The container does not answer: {found['error']}")
        answer: dict[str, Any] = found["answer"]
        return answer

    def _send(self, number: int, told: "Future[dict[str, Any]]", line: str) -> None:
        with self._lock:
            if self._has_ended:
                raise _ended()
            self._open[number] = told
            try:
                self._questions.write(f"{line}\n")
                self._questions.flush()
            except OSError as error:
                raise _ended() from error

    def _read(self, answers: TextIO) -> None:
        for line in answers:
            found = json.loads(line)
            self._open.pop(found["id"]).set_result(found)
        with self._lock:
            self._has_ended = True
            for told in self._open.values():
                told.set_exception(_ended())


def _ended() -> ServingError:
    return ServingError("The container has ended, or nothing hands questions to it any more.")
