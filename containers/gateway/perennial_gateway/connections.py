"""HTTP connections of one process among several: none is closed under a request that is on its way, and no
process keeps more than its share.

The processes accept from one socket, so that what waits for one which ends is taken by another; but whoever
wakes first takes all that wait, and a client keeps its connections for long. So a process that has more than
its share asks some clients, with an answer, to connect anew: who is less busy then takes them. Sockets of
their own (SO_REUSEPORT) share evenly by chance, and reset what waits for a process that ends.
"""

from collections.abc import Sequence, Set

from perennial_gateway.exchange import CLOSE, EXCHANGE, Exchange
from perennial_gateway.slow import Impatient

DRAIN_SECONDS = 1.0
"""A connection that is used within this time is closed with its answer, so that its client knows; one that is
not is idle, and closed then."""


class Share:
    """How many connections this process has, and how many are to move.

    Attributes:
        excess: So many answers from now on close their connections.
    """

    def __init__(self) -> None:
        self.excess = 0
        self._connections: Set[object] = frozenset()

    def watch(self, connections: Set[object]) -> None:
        self._connections = connections

    @property
    def count(self) -> int:
        return len(self._connections)

    def compare(self, others: Sequence[int]) -> None:
        """Take note of the other processes' counts."""
        self.excess = excess(self.count, others)


def excess(own: int, others: Sequence[int]) -> int:
    """How many of its connections a process gives away.

    Half of what it has too much, as the others' counts are of a moment ago; nothing where it has little.
    """
    share = (own + sum(others)) / (1 + len(others))
    return round((own - share) / 2) if own > 1.25 * share + 1 else 0


SHARE = Share()
"""Of this process; uvicorn makes the connections, so that nothing can be passed to them."""


class Connection(Impatient):
    """uvicorn's own closes idle connections at once when it is to end, and with them what a client has just
    sent on one.
    """

    def connection_made(self, transport) -> None:  # type: ignore[no-untyped-def]
        """A client has connected."""
        SHARE.watch(self.connections)
        super().connection_made(transport)

    def on_headers_complete(self) -> None:
        """A request begins."""
        super().on_headers_complete()
        if self.cycle is None:  # what uvicorn calls its cycle before there is one
            return  # type: ignore[unreachable]
        self.scope["extensions"] = {EXCHANGE: Exchange(self.cycle)}  # type: ignore[dict-item]
        if SHARE.excess > 0:
            SHARE.excess -= 1
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The process is to end and accepts no new connections any more."""
        if CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers.append(CLOSE)
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(DRAIN_SECONDS, super().shutdown)
