"""A client of one HTTP server, for the path on which each microsecond is felt: aiohttp's takes five times as
long for a call, most of it for what no call to a serving backend needs.

It knows answers that have a length or come in chunks. It follows no redirect and asks for no compression.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from perennial_gateway.backends.base import CONNECT_SECONDS, Unreached

KEPT_SECONDS = 30.0
"""How long a connection may be idle and is still used; the servers' own limits are above it."""

PORTS = {"http": 80, "https": 443}

Answered = tuple[int, bytes]
"""A status and a body."""


class HttpClient:
    """Asks one server, each call on a connection of its own, which is kept for a later one.

    Nothing bounds how many there are: the batchers bound the calls to each version.

    Args:
        url: Scheme and host of the server, perhaps with a port and a path, below which it is asked.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or PORTS[parts.scheme]
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._below = parts.path.rstrip("/")
        self._named = parts.netloc.rpartition("@")[2]
        self._idle: deque[Connection] = deque()

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, bytes]:
        """The status and the body of the answer.

        Args:
            path: Begins with a slash, below the server's own, as it is to be sent.
            headers: Beside `Host` and `Content-Length`; names and values as they are to be sent.

        Raises:
            Unreached: The server cannot be connected to, hung up before its answer was whole, or does not
                speak HTTP.
        """
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"{method} {self._below}{path} HTTP/1.1\r\nHost: {self._named}\r\n{lines}"
        request = b"%sContent-Length: %d\r\n\r\n%s" % (head.encode("latin-1"), len(body), body)
        connection = self._kept() or await self._connect()
        try:
            answered = await connection.ask(request)
        except BaseException:  # whoever asked may have gone: the answer would be taken for the next one's
            connection.close()
            raise
        if connection.lasts:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()
        return answered

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> "Connection | None":
        """The connection that was used last, so that those which are too many become old and are closed."""
        oldest_use = asyncio.get_running_loop().time() - KEPT_SECONDS
        while self._idle and self._idle[0].idle_since < oldest_use:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.lasts:
                return connection
        return None

    async def _connect(self) -> "Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    Connection, self._host, self._port, ssl=self._tls
                )
        except OSError as error:  # a TimeoutError is one
            raise Unreached(f"it cannot be reached ({type(error).__name__})") from error
        return connection


class Connection(asyncio.Protocol):
    """One connection; one request at a time.

    Attributes:
        lasts: It is open, and may take another request.
        idle_since: On the event loop's clock.
    """

    def __init__(self) -> None:
        self.lasts = True
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[Answered] | None = None
        self._parts: list[bytes] = []
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def ask(self, request: bytes) -> "asyncio.Future[Answered]":
        """Send a request; its answer.

        Raises:
            Unreached: In the future; as `HttpClient.ask`.
        """
        assert self._transport is not None  # noqa: S101 - it is made by a client that has waited for that
        answered = self._answered = self._loop.create_future()
        self._transport.write(request)
        return answered

    def close(self) -> None:
        self.lasts = False
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._answered is None:  # nobody has asked for it
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(f"it does not answer in HTTP ({type(error).__name__})")
            self.close()

    def on_body(self, body: bytes) -> None:
        """See `HttpResponseParser`."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """See `HttpResponseParser`."""
        answered, body = self._answered, b"".join(self._parts)
        self._answered, self._parts = None, []
        self.lasts = self.lasts and self._parser.should_keep_alive()
        if answered is not None and not answered.done():
            answered.set_result((self._parser.get_status_code(), body))

    def connection_lost(self, _error: Exception | None) -> None:
        self.lasts = False
        self._fail("it hung up before its answer was whole")

    def _fail(self, why: str) -> None:
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():
            answered.set_exception(Unreached(why))
