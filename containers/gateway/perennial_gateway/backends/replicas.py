"""Several servers of one kind as one backend: the least busy one is asked, a dead one left out meanwhile.

A server that cannot be reached is left out at once, and asked whether it lives until it does. Where all are
left out they are asked all the same: the reason may lie with this gateway. What one server does not answer,
another one is asked within the retry budget.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from perennial_gateway.backends.base import Answer, BackendFault, NotHeld, Server, Unreached
from perennial_gateway.backends.budget import RetryBudget
from perennial_gateway.routes import Route

FIRST_PROBE_SECONDS, LONGEST_PROBE_SECONDS = 0.1, 2.0
GRACE_SECONDS = 2.0
"""Beyond twice what a model may take: its worker may be at the call before, and the backend ends both."""

NOT_HELD_SECONDS = 2.0
"""For so long a server that did not hold a version is not asked for it again."""

logger = logging.getLogger("perennial_gateway")


class Replica:
    """One server with what is known of it.

    Attributes:
        busy: Calls under way.
        turn: The number of its newest call, among those of all servers.
        down: It could not be reached, and no probe has found it alive since.
        lacks: Until when each version that it did not hold is not asked for here, on the event loop's clock.
    """

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.number = number
        self.busy = 0
        self.turn = 0
        self.down = False
        self.lacks: dict[tuple[str, str], float] = {}


def choose(replicas: Sequence[Replica], version: tuple[str, str], now: float) -> list[Replica]:
    """The servers to ask for a version, the best one first: alive, holding it, least to do."""

    def rank(replica: Replica) -> tuple[bool, bool, int, int]:
        return replica.down, replica.lacks.get(version, 0.0) > now, replica.busy, replica.turn

    return sorted(replicas, key=rank)


class Replicas:
    """The servers of one kind; see `Kind`."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._replicas = [Replica(server, number) for number, server in enumerate(servers)]
        self._budget = RetryBudget()
        self._turn = 0
        self._probes: set[asyncio.Task[None]] = set()

    @property
    def servers(self) -> int:
        """See `Kind.servers`."""
        return len(self._replicas)

    async def close(self) -> None:
        """See `Backend.close`."""
        for probe in self._probes:
            probe.cancel()
        for replica in self._replicas:
            await replica.server.close()

    async def ask(self, route: Route, instances: Sequence[Any], headers: Mapping[str, str]) -> list[Answer]:
        """See `Backend.ask`."""
        if len(self._replicas) == 1:
            return await _in_time(self._replicas[0].server, route, instances, headers)
        loop = asyncio.get_running_loop()
        self._budget.earn(1)
        first, *others = choose(self._replicas, (route.model, route.backend_version), loop.time())
        try:
            return await self._ask(first, route, instances, headers)
        except BackendFault as error:
            fault = error
        for replica in others:
            if replica.down or not (isinstance(fault, NotHeld) or self._budget.spend(loop.time())):
                break
            try:
                return await self._ask(replica, route, instances, headers)
            except BackendFault as error:
                fault = error
        raise fault

    async def _ask(
        self, replica: Replica, route: Route, instances: Sequence[Any], headers: Mapping[str, str]
    ) -> list[Answer]:
        replica.busy += 1
        self._turn += 1
        replica.turn = self._turn
        try:
            return await _in_time(replica.server, route, instances, headers)
        except Unreached:
            self._leave_out(replica)
            raise
        except NotHeld:
            until = asyncio.get_running_loop().time() + NOT_HELD_SECONDS
            replica.lacks[route.model, route.backend_version] = until
            raise
        finally:
            replica.busy -= 1

    def _leave_out(self, replica: Replica) -> None:
        if replica.down:
            return
        replica.down = True
        logger.warning("Server %d of %d cannot be reached and is left out.", replica.number + 1, self.servers)
        probe = asyncio.ensure_future(self._probe(replica))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    async def _probe(self, replica: Replica) -> None:
        pause = FIRST_PROBE_SECONDS
        while not await replica.server.alive():
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PROBE_SECONDS)
        replica.down = False
        logger.warning("Server %d of %d is back.", replica.number + 1, self.servers)


async def _in_time(
    server: Server, route: Route, instances: Sequence[Any], headers: Mapping[str, str]
) -> list[Answer]:
    """The answers; nobody waits any more for what takes so long, but its place among the calls would be gone
    for ever where a machine went away without a word.
    """
    seconds = 2 * route.timeout_seconds + GRACE_SECONDS
    try:
        async with asyncio.timeout(seconds):
            return await server.ask(route, instances, headers)
    except TimeoutError as error:
        raise Unreached(f"it has not answered within {seconds:g} s") from error
