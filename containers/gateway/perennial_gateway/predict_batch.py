"""Many predictions in one request: each instance is answered or refused by itself, in lines that go out as
they are made.

The body is read whole before the first answer goes out. To answer while the rest is still coming would be
kinder to memory, but a client that reads nothing until it has sent everything, as most do, would wait for the
gateway, and the gateway for it. So a body is bounded, and how many are held at once.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack
from itertools import islice
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from perennial_gateway.access.rate_limit import told as limit_told
from perennial_gateway.access.rate_limit import wait_seconds
from perennial_gateway.access.sender import Sender
from perennial_gateway.route_table import RouteTable
from perennial_gateway.routes import Served
from perennial_gateway.schemas import MOST_INSTANCES, list_of
from perennial_gateway.service import Service
from perennial_gateway.trace import Trace, trace_of
from perennial_gateway.web import Refused, TooDeep, body_of, document_of, parse, require_kind

MOST = 10_000
"""Instances in one request."""

BODIES = 16
"""How many times larger than another request's a body may be."""

AT_ONCE = 8
"""Requests at once in a process; each holds its body."""

OF_ONE_TOKEN = 2
"""Those of one token: it may send its body slowly, or wait for its limit, and others have a place still."""

STEPS = "predict_batch"
"""Who the log says has asked for the rows of a table."""

IN_VAIN = 2
"""After how many times `MOST_INSTANCES` instances in a row that came to nothing the others are not asked any
more: a backend that is away would hold the request for hours.
"""

TURN_SECONDS = 30.0
"""How long a batch waits for its token's limit before each `MOST_INSTANCES` instances."""

JSON, NDJSON = "application/json", "application/x-ndjson"


class Lines(StreamingResponse):
    """Lines that go out as they are made; what they hold is let go of however they end, or never begin."""

    def __init__(
        self, lines: AsyncIterator[bytes], headers: Mapping[str, str] | None, held: ExitStack
    ) -> None:
        super().__init__(lines, media_type=NDJSON, headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)


class BatchPredictions:
    """Answers `:predict_batch`. One version answers all of a request, whatever is deployed meanwhile."""

    def __init__(self, routes: RouteTable, service: Service) -> None:
        self._routes = routes
        self._service = service
        self._held: Counter[str | None] = Counter()

    def paths(self) -> list[Route]:
        """What is below /internal."""
        return [Route("/predict_batch/{model}", self.for_steps, methods=["POST"])]

    async def for_steps(self, request: Request) -> Response:
        """Of a table of the lake; the log names the DAG as who asked."""
        sender = request.state.token._replace(name=STEPS)
        return await self.answer(request.path_params["model"], request, sender)

    async def answer(self, model: str, request: Request, sender: Sender) -> StreamingResponse:
        """A line of JSON for each instance, and at the end one that counts them: who does not find it has not
        got all.

        Raises:
            Refused: 404 for no such model, 415, 413, 400 and 422 for a body that is none, 503 for too many
                such requests at once.
        """
        self._routes.served(model)
        trace = trace_of(request.scope["headers"])
        headers = {"traceparent": trace.parent.decode()} if trace else None
        self._require_place(sender)
        with ExitStack() as held:
            self._held[sender.name] += 1
            held.callback(self._let_go, sender)
            items = await _items(request, sender)
            served = self._routes.served(model)
            held.enter_context(self._routes.used(served.route))
            return Lines(self._lines(served, items, sender, trace), headers, held.pop_all())

    def _require_place(self, sender: Sender) -> None:
        """Raises Refused, 503, where the process has no place for another batch, or none of this token."""
        one = AT_ONCE if sender.name in {None, STEPS} else OF_ONE_TOKEN
        if self._held.total() < AT_ONCE and self._held[sender.name] < one:
            return
        whose = f" of the token {sender.name!r}" if self._held.total() < AT_ONCE else ""
        count = self._held[sender.name] if whose else AT_ONCE
        message = f"{count} batches{whose} are being worked on, and no more at once. Try again."
        raise Refused(503, message, headers={"Retry-After": "5"})

    def _let_go(self, sender: Sender) -> None:
        self._held[sender.name] -= 1
        self._held += Counter()  # which forgets a name at 0

    async def _lines(
        self, served: Served, items: "Items", sender: Sender, trace: Trace | None
    ) -> AsyncIterator[bytes]:
        count = answered = in_vain = 0
        told: list[dict[str, Any] | Refused] = []
        while chunk := list(islice(items.instances, MOST_INSTANCES)):
            if in_vain < IN_VAIN:
                if count and (refused := self._withdrawn(served) or await _turn(sender)):
                    told, in_vain = [refused] * len(chunk), IN_VAIN
                else:
                    told = await self._service.predict_each(served, chunk, sender.name, trace)
                    in_vain = in_vain + 1 if _came_to_nothing(told) else 0
            else:
                told = [told[0]] * len(chunk)
            yield b"".join(items.told(count + number, each) for number, each in enumerate(told))
            count += len(told)
            answered += sum(not isinstance(each, Refused) for each in told)
        yield orjson.dumps(_end(served, answered, count - answered)) + b"\n"

    def _withdrawn(self, served: Served) -> Refused | None:
        """What refuses the rest where the model is served no longer."""
        try:
            self._routes.served(served.route.model)
        except Refused as refused:
            return refused
        return None


def _came_to_nothing(told: Sequence[dict[str, Any] | Refused]) -> bool:
    """Whether none was answered, and through no instance's fault."""
    return all(isinstance(each, Refused) and each.status in {503, 504} for each in told)


async def _turn(sender: Sender) -> Refused | None:
    """Wait until the token may send another request: each `MOST_INSTANCES` instances count as one, so that
    a batch is no way around its limit. What refuses the rest where that takes too long, since others wait
    for the place of this batch.
    """
    until = time.monotonic() + TURN_SECONDS
    while sender.rate is not None and (broken := sender.rate.take(now := time.monotonic())):
        seconds = wait_seconds(broken, now)
        if now + seconds > until:
            may = f"The token {sender.name!r} may send {limit_told(broken)}"
            advice = f"a batch waits for {TURN_SECONDS:g} s at most. Send the rest in {seconds} s."
            return Refused(429, f"{may}, and {advice}")
        await asyncio.sleep(min(seconds, 1))
    return None


class Items(NamedTuple):
    """The instances of a body.

    Attributes:
        instances: Each is parsed when its turn comes; one that is not JSON is what refuses it.
        lines: Where the body has lines, the number of each instance's, from 1: empty ones count.
    """

    instances: Iterator[Any]
    lines: Sequence[int] | None = None

    def told(self, index: int, answer: dict[str, Any] | Refused) -> bytes:
        """The line of the answer to an instance."""
        if not isinstance(answer, Refused):
            return orjson.dumps({"index": index} | answer) + b"\n"
        line = {"line": self.lines[index]} if self.lines else {}
        return orjson.dumps({"index": index, **line, "status": answer.status, "error": str(answer)}) + b"\n"


def _end(served: Served, answered: int, refused: int) -> dict[str, Any]:
    route = served.route
    head = {"model": route.model, "model_version": route.model_version, "run_id": route.run_id}
    return {"done": True} | head | {"predictions": answered, "errors": refused}


async def _items(request: Request, sender: Sender) -> Items:
    headers = request.scope["headers"]
    kind = require_kind(headers, NDJSON, JSON)
    body = await body_of(headers, request.receive, BODIES * sender.body_bytes)
    if kind == NDJSON:
        lines = {number: line for number, line in enumerate(body.split(b"\n"), 1) if line.strip()}
        _require_few(lines)
        return Items((_parsed(line, sender.body_bytes) for line in lines.values()), tuple(lines))
    # In a thread: what may be large would hold up everybody else's requests.
    document = await asyncio.to_thread(document_of, body)
    return Items(iter(list_of(document, "instances", MOST, '{"instances": [{...}]}')))


def _require_few(lines: Sized) -> None:
    if not lines:
        raise Refused(422, "The body has no line. Send one instance a line, as JSON.")
    if len(lines) > MOST:
        raise Refused(422, f"The body has {len(lines)} lines; at most {MOST} are taken at a time.")


def _parsed(line: bytes, most: int) -> Any:
    if len(line) > most:
        return Refused(413, f"The line is larger than {most} bytes.")
    try:
        return parse(line)
    except TooDeep:
        return Refused(422, "The line is nested too deep. Send a flatter one.")
    except orjson.JSONDecodeError as error:
        return Refused(400, f"The line is not JSON: {error}.")
