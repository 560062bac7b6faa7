"""What requests bring and what answers carry: JSON in, JSON out, and a refusal that says what to do."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

BODY_BYTES = 1 << 20
"""The largest body that is read of who has no limit of their own."""

BODY_SECONDS = 30.0
"""How long the body of a request may be on its way."""

DRAINED_BYTES = 16 << 20
"""How much of a body that is too large is thrown away before
it is refused, so that the client can read the refusal.
"""

MOST_LEVELS = 100
"""The deepest nesting of what is read: whatever looks at a value goes down with it, and Python's own limit on
that is not far.
"""


FAILED = {"error": "The gateway failed at this request; the reason is in its log."}
"""What is told of a fault that nobody foresaw."""


JSON = "application/json"

Headers = Iterable[tuple[bytes, bytes]]
"""Of a request, as ASGI has them: names in lower case."""


class TooDeep(ValueError):
    """JSON that is nested deeper than `MOST_LEVELS`."""


class Refused(Exception):
    """A request that is not served: the status, a sentence, further fields of the answer, and headers."""

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None, **detail: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"error": message, **detail}


class Json(Response):
    """An answer as JSON; `orjson` writes it in a tenth of the time of the standard library."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


async def json_of(request: Request) -> Any:
    """The body, parsed; as large as the token of who sends it allows. Raises as `json_from`."""
    return await json_from(request.scope["headers"], request.receive, request.state.token.body_bytes)


async def json_from(headers: Headers, receive: Receive, most: int) -> Any:
    """The body of an ASGI request, parsed.

    Raises:
        Refused: 415 for another type than JSON, 413 for more than is allowed, 400 for a body that is not
            JSON, 422 for one that is nested deeper than `MOST_LEVELS`.
    """
    require_kind(headers, JSON)
    return document_of(await body_of(headers, receive, most))


def json_in(headers: Headers, body: bytes, most: int) -> Any:
    """A body that has come whole, parsed. Raises as `json_from`."""
    require_kind(headers, JSON)
    if len(body) > most:
        raise too_large(most)
    return document_of(body)


def too_large(most: int) -> Refused:
    """What is told of a body of more than `most` bytes."""
    return Refused(413, f"The body is larger than {most} bytes. Send fewer instances at a time.")


def require_kind(headers: Headers, *kinds: str) -> str:
    """The content type of a request, one of `kinds`.

    Raises:
        Refused: 415 for another, and for a body that is compressed: a few bytes could become very many.
    """
    coding = header(headers, b"content-encoding")
    if coding is not None and coding.strip().lower() != b"identity":
        raise Refused(415, "The body is compressed. Send it as it is, without the header Content-Encoding.")
    kind = (header(headers, b"content-type") or b"").decode("latin-1").split(";")[0].strip().lower()
    if kind not in kinds:
        advice = " or ".join(f"Content-Type: {each}" for each in kinds)
        raise Refused(415, f"The content type is {kind or 'missing'}. Send JSON, with the header {advice}.")
    return kind


def header(headers: Headers, wanted: bytes) -> bytes | None:
    """A header's value; of one that was sent several times the first, None where it was not."""
    for name, value in headers:
        if name == wanted:
            return value
    return None


def document_of(body: bytes) -> Any:
    """The JSON of a body.

    Raises:
        Refused: 400 for what is not JSON, 422 for what is nested deeper than `MOST_LEVELS`.
    """
    try:
        return parse(body)
    except TooDeep as error:
        raise Refused(
            422, f"The body is nested deeper than {MOST_LEVELS} levels. Send a flatter one."
        ) from error
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"The body is not JSON: {error}.") from error


def parse(body: bytes) -> Any:
    """JSON that may be walked through without fear, whoever sent it.

    Raises:
        TooDeep: It is nested deeper than `MOST_LEVELS`.
        orjson.JSONDecodeError: It is not JSON, or nested so deep that `orjson` gives up.
    """
    document = orjson.loads(body)
    if body.count(b"{") + body.count(b"[") <= MOST_LEVELS:  # in texts, too: then it is only looked at closely
        return document
    level = [document]
    for _ in range(MOST_LEVELS):
        level = [part for each in level for part in _parts(each) if isinstance(part, dict | list)]
        if not level:
            return document
    raise TooDeep


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


async def body_of(headers: Headers, receive: Receive, most: int) -> bytes:
    """The body, whole; of one that is too large a part is thrown away first, so that the client can read why.

    Raises:
        Refused: 413 for more than `most` bytes, 400 where the connection ends before the body does, 408 where
            it has not come within `BODY_SECONDS`.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _whole(headers, receive, most)
    except TimeoutError as error:
        message = f"The body did not come within {BODY_SECONDS:g} seconds. Send it at once."
        raise Refused(408, message, headers={"Connection": "close"}) from error


async def _whole(headers: Headers, receive: Receive, most: int) -> bytes:
    drained = max(DRAINED_BYTES, most)
    declared = header(headers, b"content-length")
    if declared and declared.isdigit() and int(declared) > drained:
        raise too_large(most)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The connection ended before the body was complete.")
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size > drained:
            raise too_large(most)
        if size <= most:
            parts.append(part)
    if size > most:
        raise too_large(most)
    return b"".join(parts)
