"""The users of the demo: they send texts to the gateway,
tell it true labels, and count every request that fails.
"""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import requests

from demo.failure import StepFailed

CHUNK = 50
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Review:
    """A text and what it truly is: 1 positive, 0 negative."""

    text: str
    label: int


@dataclass(frozen=True)
class Answered:
    """A review and what the service said of it."""

    review: Review
    prediction_id: str
    prediction: Any
    run_id: str


@dataclass
class Users:
    """Everything that the demo sends through the gateway, request by request.

    Attributes:
        token: The bearer token that the gateway's address asks for, if any.
        sent: How many requests were sent here (the constant load counts its own).
        failed: Those that were not answered with 200, or not at all; a sentence each.
    """

    gateway: str
    model: str
    token: str | None = field(default=None, repr=False)
    sent: int = 0
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._session = session_of(self.token)

    def predict(self, reviews: Sequence[Review]) -> list[Answered]:
        """Ask for a prediction of each review, 50 to a request."""
        answered: list[Answered] = []
        for chunk in _chunks(reviews):
            answer = self._post("predict", {"instances": [{"text": review.text} for review in chunk]})
            answered += [
                Answered(review, said["prediction_id"], said["prediction"], answer["run_id"])
                for review, said in zip(chunk, answer["predictions"], strict=True)
            ]
        return answered

    def tell_labels(self, answered: Sequence[Answered]) -> int:
        """Send the true label of each answered review; returns how many the gateway accepted."""
        accepted = 0
        for chunk in _chunks(answered):
            feedback = [{"prediction_id": one.prediction_id, "label": one.review.label} for one in chunk]
            accepted += int(self._post("feedback", {"feedback": feedback})["accepted"])
        return accepted

    def _post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sent += 1
        url = f"{self.gateway}/v1/models/{self.model}/{verb}"
        try:
            answer = self._session.post(url, json=body, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            self.failed.append(f"{verb}: {error}")
            raise StepFailed(f"The gateway did not answer a {verb} request: {error}") from error
        if not answer.ok:
            self.failed.append(f"{verb}: {answer.status_code} {answer.text[:200]}")
            raise StepFailed(
                f"The gateway answered {answer.status_code} to a {verb} request: {answer.text[:500]}"
            )
        document: dict[str, Any] = answer.json()
        return document


def session_of(token: str | None) -> requests.Session:
    """A session whose requests carry the token."""
    session = requests.Session()
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    return session


def accuracy(answered: Sequence[Answered]) -> float:
    """The share of answers that were true, in [0, 1]."""
    return sum(bool(one.prediction == one.review.label) for one in answered) / len(answered)


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


class ConstantLoad:
    """Single requests at a constant rate from a few threads, for as long as the `with` block runs.

    A request fails when it is not answered with 200 within `TIMEOUT_SECONDS`. While a model has never served,
    the gateway's 404 for it is the right answer: those are counted apart, and only until the first 200.

    Attributes:
        sent: Requests answered or failed, without `before_first`.
        failures: Each failed request: when, and what came instead of an answer.
        served_by: How many answers each run's model gave.
    """

    def __init__(
        self,
        gateway: str,
        model: str,
        reviews: Sequence[Review],
        *,
        token: str | None = None,
        per_second: float = 20,
        threads: int = 2,
    ) -> None:
        self._token = token
        self._url = f"{gateway}/v1/models/{model}/predict"
        self._reviews = reviews
        self._pause = threads / per_second
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_on, args=(number,), daemon=True) for number in range(threads)
        ]
        self.sent = 0
        self.before_first = 0
        self.failures: list[str] = []
        self.served_by: dict[str, int] = {}
        self.slowest_seconds = 0.0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS + 5)

    def wait_for_answers(self, run_id: str, *, answers: int, timeout_seconds: float) -> None:
        """Wait until the model of `run_id` has answered `answers` requests of this load.

        Raises:
            StepFailed: It did not within `timeout_seconds`.
        """
        until = time.monotonic() + timeout_seconds
        while self.served_by.get(run_id, 0) < answers:
            if time.monotonic() > until:
                raise StepFailed(
                    f"The model of run {run_id} answered {self.served_by.get(run_id, 0)} of the load's "
                    f"requests within {timeout_seconds:.0f} s; {answers} were expected. Answers by run: "
                    f"{self.served_by}."
                )
            time.sleep(0.1)

    def _send_on(self, number: int) -> None:
        choose = random.Random(number)  # noqa: S311 - which review is sent next is no secret
        session = session_of(self._token)
        while not self._stop.is_set():
            started = time.monotonic()
            self._send(session, choose.choice(self._reviews))
            self._stop.wait(max(0.0, started + self._pause - time.monotonic()))

    def _send(self, session: requests.Session, review: Review) -> None:
        started = time.monotonic()
        try:
            answer = session.post(
                self._url, json={"instances": [{"text": review.text}]}, timeout=TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            self._count(status=None, said=str(error), seconds=time.monotonic() - started)
            return
        said = answer.json()["run_id"] if answer.status_code == 200 else answer.text[:200]
        self._count(status=answer.status_code, said=said, seconds=time.monotonic() - started)

    def _count(self, *, status: int | None, said: str, seconds: float) -> None:
        with self._lock:
            if status == 404 and not self.served_by:
                self.before_first += 1
                return
            self.sent += 1
            self.slowest_seconds = max(self.slowest_seconds, seconds)
            if status == 200:
                self.served_by[said] = self.served_by.get(said, 0) + 1
            else:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {status or 'no answer'}: {said}")
