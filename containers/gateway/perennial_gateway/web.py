"""What requests bring and what answers carry: JSON in, JSON out, and a refusal that says what to do."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

BODY_BYTES = 1 << 20
"""The largest body that is read of who has no limit of their own."""

DRAINED_BYTES = 16 << 20
"""How much of a body that is too large is thrown away before
it is refused, so that the client can read the refusal.
"""

MOST_LEVELS = 100
"""The deepest nesting of what is read: whatever looks at a value goes down with it, and Python's own limit on
that is not far.
"""


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

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


async def json_of(request: Request) -> Any:
    """The body, parsed; as large as the token of who sends it allows.

    Raises:
        Refused: 415 for another type than JSON, 413 for more than is allowed, 400 for a body that is not
            JSON, 422 for one that is nested deeper than `MOST_LEVELS`.
    """
    require_kind(request, "application/json")
    return document_of(await body_of(request, request.state.token.body_bytes))


def require_kind(request: Request, *kinds: str) -> str:
    """The content type of a request, one of `kinds`.

    Raises:
        Refused: 415 for another.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in kinds:
        advice = " or ".join(f"Content-Type: {each}" for each in kinds)
        raise Refused(415, f"The content type is {kind or 'missing'}. Send JSON, with the header {advice}.")
    return kind


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


async def body_of(request: Request, most: int) -> bytes:
    """The body, whole; of one that is too large a part is thrown away first, so that the client can read why.

    Raises:
        Refused: 413 for more than `most` bytes, 400 where the connection ends before the body does.
    """
    too_large = Refused(413, f"The body is larger than {most} bytes. Send fewer instances at a time.")
    drained = max(DRAINED_BYTES, most)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > drained:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > drained:
                raise too_large
            if size <= most:
                parts.append(part)
    except ClientDisconnect as error:
        raise Refused(400, "The connection ended before the body was complete.") from error
    if size > most:
        raise too_large
    return b"".join(parts)
