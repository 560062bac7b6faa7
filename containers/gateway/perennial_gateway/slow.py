"""Callers that take their time: a connection whose request does not get ahead is closed.

uvicorn waits for the rest of a request's head for ever, so that a few thousand callers who send a letter a
minute ("slow loris") would hold every connection that the machine has; and so it does for a caller who does
not read its answer, which is held meanwhile. The body has a time of its own (web.py).
"""

from asyncio import Transport
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from asyncio import TimerHandle

HEAD_BYTES = 64 << 10
"""The largest head of a request; uvicorn itself has no limit."""

HEAD_SECONDS = 20.0
"""From the connection, or from the first byte of a later request, to the end of the request's head."""

READ_SECONDS = 30.0
"""How long an answer that is on its way may find no room at its reader."""


class Impatient(HttpToolsProtocol):
    """Closes a connection whose request's head takes too long, or is too large, or that is not read from."""

    _late: "TimerHandle | None" = None
    _unread: "TimerHandle | None" = None
    _in_head = True
    _in_body = False
    _bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        self._read_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._read_on()
        super().resume_writing()

    def on_message_begin(self) -> None:
        self._in_head, self._bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_ended()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._bytes += len(data)
        super().data_received(data)
        if self._in_head:
            self._wait_on()
        elif self.cycle is not None and self.cycle.response_complete:
            self._wait_for_rest()

    def _wait_on(self) -> None:
        if self._bytes > HEAD_BYTES:
            self.transport.close()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _wait_for_rest(self) -> None:
        """A request was answered before its body had come, as one without a token is: uvicorn lets go of its
        own timer at the next byte of it.
        """
        if self._in_body:
            self._late = self._late or self.loop.call_later(HEAD_SECONDS, self.transport.close)
        elif self.timeout_keep_alive_task is None:
            self._head_ended()
            idle = self.timeout_keep_alive, self.timeout_keep_alive_handler
            self.timeout_keep_alive_task = self.loop.call_later(*idle)

    def _head_ended(self) -> None:
        self._in_head = False
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
