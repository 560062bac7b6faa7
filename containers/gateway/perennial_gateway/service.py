"""What the gateway does for its users: predict, and take labels."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request
from uuid_utils import uuid7

from perennial_gateway.backends.base import Answer, refusal_of, require_answered
from perennial_gateway.backends.kinds import Backends
from perennial_gateway.database import now
from perennial_gateway.deadline import LATE, is_fair, seconds_of
from perennial_gateway.failures import Failures
from perennial_gateway.feedback_limit import FeedbackLimit
from perennial_gateway.label_schemas import LabelSchemas
from perennial_gateway.log import DurableLog
from perennial_gateway.route_table import RouteTable
from perennial_gateway.routes import Route, Served
from perennial_gateway.schemas import Unacceptable, accepted_labels, instances_of, labels_of, typed_answer
from perennial_gateway.shadow import Shadows
from perennial_gateway.splits import Chosen
from perennial_gateway.trace import Trace
from perennial_gateway.web import Headers, Refused, json_of

MOST_IN_FLIGHT = 2000
"""More would only wait in TorchServe's queue, which holds as many."""


OTHERS_SECONDS = 1.0
"""How long a prediction of another process may take to the database until a label for it is refused."""

NEW_SECONDS = 10.0

PATIENCE_SECONDS = 60.0
"""How much longer than a caller's own request an instance of a batch may take: others of the batch are asked
before it, and one that kills its worker lets it wait for another, several times.
"""


class TooMany(Refused):
    """The gateway has too much to do, which is no version's fault."""


class Asked(NamedTuple):
    """A request for predictions.

    Attributes:
        sender: The name of the token that it bears; None where none is asked for.
        trace: Which trace of the caller's it belongs to; None for none.
    """

    model: str
    document: Any
    sender: str | None
    headers: Headers
    trace: Trace | None


class Service:
    """Predictions and labels over the routes, the backends and the log."""

    def __init__(
        self,
        routes: RouteTable,
        backends: Backends,
        log: DurableLog,
        limit: FeedbackLimit,
        failures: Failures,
        shadows: Shadows,
        schemas: LabelSchemas,
    ) -> None:
        self._routes = routes
        self._backends = backends
        self._log = log
        self._limit = limit
        self._failures = failures
        self._shadows = shadows
        self._schemas = schemas

    async def predict(self, asked: Asked) -> dict[str, Any]:
        """Answer a request's instances; every prediction is in the log, durably, before it is told.

        All or nothing: an instance that the schema or the model refuses refuses the request, and none of it
        is logged.
        """
        started = time.perf_counter()
        chosen = self._routes.choose(asked.model, asked.sender, asked.headers)
        served = chosen.served
        seconds = served.route.timeout_seconds
        try:
            instances = instances_of(asked.document, served.inputs)
            seconds = seconds_of(asked.headers, served.route.timeout_seconds)
            answers = await self._ask(served, instances, seconds, asked.trace)
        except Exception as error:
            self._count(chosen, error, is_fair=is_fair(seconds, served.route.timeout_seconds))
            raise
        # What follows is the log's own work, which a row cannot hold: the metrics count it too.
        of_all = {
            "sent_by": asked.sender,
            "latency_seconds": time.perf_counter() - started,
            "role": chosen.role,
            "trace_id": asked.trace.trace_id if asked.trace else None,
            "instances": len(instances),
        }
        rows = [
            _row(served.route, instance, answer) | of_all
            for instance, answer in zip(instances, answers, strict=True)
        ]
        await self._log.append("predictions", rows)
        served.metrics.predictions.inc(len(rows))
        served.metrics.predict_seconds.observe(time.perf_counter() - started)
        served.metrics.count(chosen.role, "answered")
        if chosen.shadow is not None:
            self._shadows.start(chosen.shadow, rows, instances)
        told = [_told(row, answer) for row, answer in zip(rows, answers, strict=True)]
        return head_of(served.route) | {"predictions": told}

    async def predict_each(
        self, served: Served, items: Sequence[Any], sender: str | None, trace: Trace | None
    ) -> list[dict[str, Any] | Refused]:
        """Answer each instance by itself, in their order; every prediction is in the log before it is told.

        Args:
            items: Instances, or what refuses one already.
        """
        started = time.perf_counter()
        told: list[Any] = [_accepted(item, served) for item in items]
        asked = [number for number, each in enumerate(told) if not isinstance(each, Refused)]
        seconds = served.route.timeout_seconds + PATIENCE_SECONDS
        answers = await asyncio.gather(*(self._one(served, told[number], trace, seconds) for number in asked))
        of_all = {
            "sent_by": sender,
            "latency_seconds": time.perf_counter() - started,
            "trace_id": trace.trace_id if trace else None,
        }
        rows = []
        for number, answer in zip(asked, answers, strict=True):
            if not isinstance(answer, Refused):
                rows.append(_row(served.route, told[number], answer) | of_all)
                told[number] = _told(rows[-1], answer)
            else:
                told[number] = answer
        self._count_each(served, answers)
        try:
            await self._log.append("predictions", rows)
        except Refused as refused:
            return [refused] * len(items)
        served.metrics.predictions.inc(len(rows))
        return told

    async def answers(
        self, served: Served, instances: Sequence[Any], seconds: float, trace: Trace | None
    ) -> list[dict[str, Any] | Refused]:
        """What a version says of each instance, without a trace in the log, the counts or a comparison.

        Each stands for itself, as one that nobody sent may be what the model does not bear.
        """
        asked = (self._one(served, each, trace, seconds) for each in instances)
        return list(await asyncio.gather(*asked))

    def _count_each(self, served: Served, answers: Sequence[dict[str, Any] | Refused]) -> None:
        """Instances that went to the version together count as one request, as for a token's rate; it was
        made by no chance, so it is in no comparison of a split's two versions.
        """
        refused = [answer for answer in answers if isinstance(answer, Refused)]
        if refused:
            self._count(Chosen(served, None), max(refused, key=lambda each: each.status))
        elif answers:
            served.metrics.count(None, "answered")

    async def _one(
        self, served: Served, instance: Any, trace: Trace | None, seconds: float
    ) -> dict[str, Any] | Refused:
        """The answer to an instance, or what refuses it alone."""
        try:
            [answer] = await self._raw(served, [instance], seconds, trace)
        except Refused as refused:
            return refused
        return _of_one(answer, served)

    def _count(self, chosen: Chosen, error: Exception, *, is_fair: bool = True) -> None:
        """A request that was not answered: through whose fault? It is no version's that its caller gave it no
        fair time.
        """
        if isinstance(error, TooMany):
            return
        route, status = chosen.served.route, error.status if isinstance(error, Refused) else 500
        has_failed = status >= 500 and (is_fair or status != LATE)
        chosen.served.metrics.count(chosen.role, "failed" if has_failed else "refused")
        if has_failed:
            self._failures.count(route, chosen.role, status, str(error) or type(error).__name__)

    async def probe(self, model: str, request: Request) -> dict[str, Any]:
        """The same way through the gateway without a trace in the log: how a deployment sees which version
        truly answers. `?version=` asks for the candidate of a split.
        """
        routing = self._routes.routing(model)
        version = request.query_params.get("version")
        served = routing.stable if version is None else routing.named(version).served
        instances = instances_of(await json_of(request), served.inputs)
        answers = await self._ask(served, instances, served.route.timeout_seconds)
        return head_of(served.route) | {"predictions": answers}

    async def feedback(self, model: str, request: Request) -> dict[str, Any]:
        """Keep the labels of earlier predictions, however old. A
        second label for a prediction is kept too: the last counts.

        Raises:
            Refused: 404 for ids that are no predictions of this model, 422 for a label that breaks the schema
                of the version that answered, 429 for more labels than the token may send, 503 while
                predictions are late in the database; nothing of the request is kept.
        """
        served, sender = self._routes.served(model), request.state.sender
        pairs = labels_of(await json_of(request))
        if sender is not None:
            self._limit.take(sender, len(pairs))
        ids = dict.fromkeys(prediction_id for prediction_id, _ in pairs)
        versions = await self._versions(model, ids)
        unknown = [prediction_id for prediction_id in ids if prediction_id not in versions]
        if unknown:
            named = ", ".join(repr(prediction_id[:40]) for prediction_id in unknown[:5])
            which = "the id" if len(unknown) == 1 else f"any of {len(unknown)} ids:"
            more = ", …" if len(unknown) > 5 else ""
            message = f"No prediction of {model!r} has {which} {named}{more}. Nothing was accepted."
            raise Refused(404, message, unknown=unknown)
        schemas = await asyncio.to_thread(self._schemas.of, model, set(versions.values()))
        received = now()
        rows = [
            {
                "prediction_id": prediction_id,
                "model": model,
                "label": orjson.dumps(label).decode(),
                "received_at": received,
                "sent_by": sender,
            }
            for prediction_id, label in accepted_labels(pairs, versions, schemas)
        ]
        await self._log.append("feedback", rows)
        served.metrics.labels.inc(len(rows))
        return {"accepted": len(rows)}

    async def _versions(self, model: str, ids: Iterable[str]) -> dict[str, str]:
        """Which version made each prediction; what another process has just made may not be in the database
        yet, and is waited for.

        Raises:
            Refused: 503; some are not there, and the log is late, so that nobody can say whether they exist.
        """
        versions = await asyncio.to_thread(self._log.versions, model, ids)
        if all(prediction_id in versions for prediction_id in ids):
            return versions
        await self._log.require_settled()
        until = time.monotonic() + OTHERS_SECONDS  # what another machine keeps cannot be seen from here
        while True:
            versions = await asyncio.to_thread(self._log.versions, model, ids)
            missing = (prediction_id for prediction_id in ids if prediction_id not in versions)
            if time.monotonic() > until or not any(map(_is_new, missing)):
                return versions
            await asyncio.sleep(0.05)

    async def _ask(
        self, served: Served, instances: list[dict[str, Any]], seconds: float, trace: Trace | None = None
    ) -> list[dict[str, Any]]:
        answers = await self._raw(served, instances, seconds, trace)
        return [
            typed_answer(require_answered(answer, number), served.labels)
            for number, answer in enumerate(answers)
        ]

    async def _raw(
        self, served: Served, instances: list[Any], seconds: float, trace: Trace | None
    ) -> list[Answer]:
        in_flight, key = self._routes.in_flight, (served.route.model, served.route.backend_version)
        if in_flight.total() >= MOST_IN_FLIGHT:
            raise TooMany(
                503, "Too many requests are being worked on. Try again.", headers={"Retry-After": "1"}
            )
        in_flight[key] += 1
        try:
            headers = {"traceparent": trace.parent.decode()} if trace else {}
            return await self._backends.of(served).ask(instances, headers, seconds)
        finally:
            in_flight[key] -= 1


def _accepted(item: Any, served: Served) -> Any:
    """The instance as the schema types it, or what refuses it."""
    if isinstance(item, Refused):
        return item
    try:
        return served.inputs.accept(item)
    except Unacceptable as error:
        return Refused(422, f"The instance breaks the model's input schema: {error}.")


def _of_one(answer: Answer, served: Served) -> dict[str, Any] | Refused:
    if "error" in answer:
        return refusal_of(answer, "the instance")
    try:
        return typed_answer(answer, served.labels)
    except Refused as refused:
        return refused


def head_of(route: Route) -> dict[str, Any]:
    """Which version answered, as every answer says it."""
    return {"model": route.model, "model_version": route.model_version, "run_id": route.run_id}


def _told(row: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """What the caller is told of one instance; of several classes also each one's probability."""
    told = {
        "prediction_id": row["prediction_id"],
        "prediction": answer["prediction"],
        "score": answer["score"],
    }
    return told | {"scores": answer["scores"]} if "scores" in answer else told


def _is_new(prediction_id: str) -> bool:
    """Whether an id says that it was made just now: it begins with its time (RFC 9562, 5.7)."""
    try:
        made = int(prediction_id[:12], 16) / 1000
    except ValueError:
        return False
    return abs(time.time() - made) < NEW_SECONDS


def _row(route: Route, instance: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """What the log keeps of one instance.

    The id is a UUID of version 7 (RFC 9562), whose order is that of time, so that the index grows at its end.
    """
    return {
        "prediction_id": uuid7().hex,
        "model": route.model,
        "predicted_at": now(),
        "model_version": route.model_version,
        "run_id": route.run_id,
        "features": orjson.dumps(instance).decode(),
        "prediction": orjson.dumps(answer["prediction"]).decode(),
        "score": answer["score"],
    }
