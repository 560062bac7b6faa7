"""Copies of what the stable version answered, for a version that answers nobody: what would it have said?

A copy is sent after the caller has the answer. At most `MOST_UNDER_WAY` are under way, so that a version that
is slow or hangs costs callers neither time nor memory; what is more is dropped, and the drops are counted.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import Any

import orjson

from perennial_gateway.backends.base import Answer, require_answered
from perennial_gateway.backends.kinds import Backends
from perennial_gateway.database import now
from perennial_gateway.failures import SHADOW, Failures, Log
from perennial_gateway.metrics import SHADOWS
from perennial_gateway.route_table import RouteTable
from perennial_gateway.routes import Served
from perennial_gateway.schemas import typed_answer
from perennial_gateway.web import Refused

MOST_UNDER_WAY = 32
STOP_SECONDS = 2.0
TOLERANCE = 1e-3
"""How far two numbers may be apart, relative to the larger, and still be the same answer of a regression."""

logger = logging.getLogger("perennial_gateway")


def agrees(told: Any, said: Any) -> bool:
    """Whether two versions gave one answer: the same class, or numbers apart by `TOLERANCE` at most."""
    numbers = isinstance(told, float | int) and isinstance(said, float | int)
    if numbers and (isinstance(told, float) or isinstance(said, float)):
        return math.isclose(told, said, rel_tol=TOLERANCE)
    return bool(told == said and type(told) is type(said))


class Shadows:
    """The copies under way in this process."""

    def __init__(self, routes: RouteTable, backends: Backends, log: Log, failures: Failures) -> None:
        self._routes = routes
        self._backends = backends
        self._log = log
        self._failures = failures
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self, served: Served, rows: Sequence[dict[str, Any]], instances: Sequence[Any]) -> None:
        """Send a copy of a request soon; it never raises, and never waits.

        Args:
            served: The version that gets the copy.
            rows: What the log keeps of the request's instances.
        """
        route = served.route
        if served not in self._routes.versions(route.model):
            return  # the split has ended since the request came
        if len(self._under_way) >= MOST_UNDER_WAY:
            self._failures.count(route, SHADOW, 0, "Too many copies were under way.")
            SHADOWS.labels(self._routes.label(route.model), route.model_version, "dropped").inc(len(rows))
            return
        self._routes.in_flight[route.model, route.backend_version] += 1
        task = asyncio.get_running_loop().create_task(self._send(served, rows, instances))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def stop(self) -> None:
        """Wait a moment for what is under way, and give up the rest."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _send(self, served: Served, rows: Sequence[dict[str, Any]], instances: Sequence[Any]) -> None:
        key = (served.route.model, served.route.backend_version)
        started = time.perf_counter()
        try:
            answers = await self._answers(served, instances)
        finally:
            self._routes.in_flight[key] -= 1
        seconds = time.perf_counter() - started
        shadows = [_row(served, row, answer, seconds) for row, answer in zip(rows, answers, strict=True)]
        for shadow in shadows:
            version = served.route.model_version
            SHADOWS.labels(self._routes.label(key[0]), version, _outcome(shadow)).inc()
        try:
            await self._log.append("shadows", shadows)
        except Refused:
            logger.warning("%d answers of a shadow could not be kept", len(shadows))

    async def _answers(self, served: Served, instances: Sequence[Any]) -> list[Answer | str]:
        """The version's answer to each instance, or why there is none."""
        try:
            answers = await self._backends.of(served).ask(instances, {}, served.route.timeout_seconds)
        except Refused as refused:
            return [str(refused)] * len(instances)
        except Exception as error:
            logger.exception("A copy for %s could not be sent", served.route.model)
            return [f"{type(error).__name__}: {error}"] * len(instances)
        return [_typed(served, answer, number) for number, answer in enumerate(answers)]


def _typed(served: Served, answer: Answer, number: int) -> Answer | str:
    try:
        return typed_answer(require_answered(answer, number), served.labels)
    except Refused as refused:
        return str(refused)


def _row(served: Served, told: dict[str, Any], answer: Answer | str, seconds: float) -> dict[str, Any]:
    """What the log keeps of one copy, beside what the caller was told."""
    row = {
        "prediction_id": told["prediction_id"],
        "model": served.route.model,
        "predicted_at": now(),
        "model_version": served.route.model_version,
        "run_id": served.route.run_id,
        "live_prediction": told["prediction"],
        "live_version": told["model_version"],
        "latency_seconds": seconds,
        "instances": told["instances"],
    }
    if isinstance(answer, str):
        return row | {"fault": answer[:500].replace("\0", "")}
    said = answer["prediction"]
    return row | {
        "prediction": orjson.dumps(said).decode(),
        "score": answer["score"],
        "agreed": int(agrees(orjson.loads(told["prediction"]), said)),
    }


def _outcome(row: dict[str, Any]) -> str:
    return "failed" if "fault" in row else "agreed" if row["agreed"] else "differed"
