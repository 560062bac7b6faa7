"""A request and its answer past ASGI's messages, for the path on which each microsecond is felt.

uvicorn passes a body in one message or more, which have to be waited for with a deadline, and writes an
answer's head and its body apart: two calls of the kernel, and two packets that wake the caller. Almost every
request of a prediction has come whole before it is looked at, and its answer is whole, too.
"""

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

EXCHANGE = "perennial.exchange"
"""Its name among the extensions of an ASGI scope; a server other than ours has none."""

CLOSE = (b"connection", b"close")
"""Among the server's own headers once it is to end."""

HEAD = b"HTTP/1.1 200 OK\r\n%s%scontent-length: %d\r\n\r\n%s"


class Exchange:
    """One request, and its answer."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def body(self) -> bytes | None:
        """The body, where it has come whole; else it is to be received."""
        cycle = self._cycle
        return None if cycle.more_body or cycle.disconnected else bytes(cycle.body)

    def answer(self, headers: bytes, content: bytes) -> bool:
        """Send an answer with status 200 in one piece; False where something about its connection is out of
        the ordinary, so that it has to be sent as ASGI has it.

        Args:
            headers: Each with its end, beside the server's own and the length.
        """
        cycle = self._cycle
        own = cycle.default_headers
        if cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive or CLOSE in own:
            return False
        cycle.response_started = cycle.response_complete = True
        date = b"".join([b"%s: %s\r\n" % each for each in own])
        cycle.transport.write(HEAD % (date, headers, len(content), content))
        cycle.message_event.set()
        cycle.on_response()
        return True
