"""HTTP connections of a process that is about to end: none is closed under a request that is on its way."""

from perennial_gateway.slow import Impatient

CLOSE = (b"connection", b"close")
DRAIN_SECONDS = 1.0
"""A connection that is used within this time is closed with its answer, so that its client knows; one that is
not is idle, and closed then."""


class Draining(Impatient):
    """uvicorn's own closes idle connections at once, and with them what a client has just sent on one."""

    def shutdown(self) -> None:
        """The process is to end and accepts no new connections any more."""
        if CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers.append(CLOSE)
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(DRAIN_SECONDS, super().shutdown)
