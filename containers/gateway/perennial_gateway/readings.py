"""What users read of the log, which may take seconds, by threads of its own: nothing else waits behind it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from perennial_gateway.web import Refused

THREADS = 2
MOST = 32
"""Readings at once, those that wait included; more would only wait longer."""

P = ParamSpec("P")
T = TypeVar("T")


class Readings:
    """Runs what reads, some at a time and the others in their order."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "reading")
        self._asked = 0

    async def run(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `read` returns.

        Raises:
            Refused: 503; `MOST` are under way or wait.
        """
        if self._asked >= MOST:
            message = f"{MOST} readings of the log are under way or wait, and no more at once. Try again."
            raise Refused(503, message, headers={"Retry-After": "5"})
        self._asked += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, partial(read, *args, **kwargs))
        finally:
            self._asked -= 1
