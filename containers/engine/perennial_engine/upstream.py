"""The engine behind the socket: each request to it is written here, none is passed through."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
# A log that is followed and a wait for a container's end may be silent for days.
PATIENT = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS)
BRIEF = aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS)


class EngineUnreachable(Exception):
    """The engine does not answer on its socket; raised by whatever asks it."""


class Engine:
    """A client of the Docker socket.

    One connection a request: the engine closes idle ones when it likes, and a request that creates cannot
    simply be repeated.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        connector = aiohttp.UnixConnector(str(socket), limit=0, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = PATIENT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The engine's answer, whose content is read as it comes.

        Args:
            path: Percent-encoded already.

        Raises:
            EngineUnreachable: There is no engine, or it hung up before it answered.
        """
        url = URL.build(scheme="http", host="engine", path=path, encoded=True).with_query(query)
        kind = {"Content-Type": "application/json"} if body else {}
        try:
            response = await self._session.request(
                method, url, data=body, headers={**kind, **(headers or {})}, timeout=timeout
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise EngineUnreachable(f"The engine behind {self._socket} does not answer: {reason}.") from error
        async with response:
            yield response

    async def read(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """The status and the JSON of a short answer."""
        async with self.ask("GET", path, query, timeout=BRIEF) as response:
            return response.status, json.loads(await response.read())
