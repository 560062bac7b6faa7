"""Requests and answers on bare ASGI: JSON in, JSON out, and a refusal that says what to do."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

JSON_TYPE = b"application/json"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_BYTES = 1 << 20
"""The largest body that is read."""

DRAINED_BYTES = 16 << 20
"""How much of a body that is too large is thrown away before
it is refused, so that the client can read the refusal.
"""


class Refused(Exception):
    """A request that is not served: the status, a sentence, further fields of the answer, and headers."""

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None, **detail: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"error": message, **detail}


class Request:
    """One HTTP request."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = "GET" if scope["method"] == "HEAD" else scope["method"]
        self.path: str = scope["path"]
        self._query: bytes = scope["query_string"]
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive

    def header(self, name: bytes) -> str:
        return self._headers.get(name, b"").decode("latin-1")

    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self._query.decode("latin-1")))

    def bears(self, token: str) -> bool:
        """Whether the request carries the token, compared in constant time."""
        return hmac.compare_digest(self.header(b"authorization").encode(), f"Bearer {token}".encode())

    async def json(self) -> Any:
        """The body, parsed.

        Raises:
            Refused: 415 for another type than JSON, 413 for more than `BODY_BYTES`, 400 for a body that is
                not JSON.
        """
        kind = self.header(b"content-type").split(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(
                415,
                f"The content type is {kind or 'missing'}. Send JSON, with the header Content-Type: "
                "application/json.",
            )
        body = await self._body()
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refused(400, f"The body is not JSON: {error}.") from error

    async def _body(self) -> bytes:
        too_large = Refused(
            413, f"The body is larger than {BODY_BYTES} bytes. Send fewer instances at a time."
        )
        declared = self.header(b"content-length")
        if declared.isdigit() and int(declared) > DRAINED_BYTES:
            raise too_large
        parts: list[bytes] = []
        size, more = 0, True
        while more and size <= DRAINED_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "The connection ended before the body was whole.")
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size <= BODY_BYTES:
                parts.append(part)
        if size > BODY_BYTES:
            raise too_large
        return b"".join(parts)


async def answer(
    send: Send, status: int, body: Any, *, kind: bytes = JSON_TYPE, headers: Mapping[str, str] | None = None
) -> None:
    """Send `body`: bytes as they are, everything else as JSON."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [
        (b"content-type", kind),
        (b"content-length", str(len(content)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    lines += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": content})
