"""TorchServe, as the gateway sees it: always at a version's own address.

An archive whose handler takes a list of instances gets it as one request. TorchServe's own batching, which
waits a millisecond at least for a batch to fill, is not used for these.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from yarl import URL

from perennial_gateway.backends.base import (
    CALL_BYTES,
    CONNECT_SECONDS,
    Answer,
    BackendFault,
    NotHeld,
    Unreached,
    WorkerDied,
    checked,
    in_parts,
)
from perennial_gateway.backends.key_file import KeyFile
from perennial_gateway.routes import Route
from perennial_gateway.web import MOST_LEVELS, Refused, TooDeep, parse

PROBE_SECONDS = 2.0
DIED = "Worker died."
"""What TorchServe says of a call whose worker ended meanwhile."""


class TorchServe:
    """Asks one TorchServe; see `Backend`."""

    def __init__(self, url: str, key_file: Path) -> None:
        self._url = url.rstrip("/")
        self._keys = KeyFile(key_file)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """See `Backend.open`."""
        self._session = aiohttp.ClientSession(
            # The batchers bound the calls to each version: none waits for a connection behind another's.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """See `Backend.close`."""
        if self._session is not None:
            await self._session.close()

    async def alive(self) -> bool:
        """See `Server.alive`."""
        headers = {"Authorization": f"Bearer {self._keys.inference()}"}
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
        try:
            async with self._opened.get(f"{self._url}/ping", headers=headers, timeout=timeout) as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def ask(self, route: Route, instances: Sequence[Any], headers: Mapping[str, str]) -> list[Answer]:
        """See `Backend.ask`."""
        content = orjson.dumps(instances if route.batches else instances[0])
        if len(content) > CALL_BYTES:
            return await in_parts(self.ask, route, instances, headers)
        if not route.batches:
            return [_answer_of(*await self._post(route, content, headers))]
        status, body = await self._post(route, content, headers)
        answers = _parsed(body) if status == 200 else None
        if not isinstance(answers, list):
            raise _fault_of(status, body)
        if len(answers) != len(instances):
            raise BackendFault(f"{len(answers)} answers came to {len(instances)} instances")
        return [checked(answer) for answer in answers]

    @lru_cache(maxsize=1024)  # noqa: B019 - there is one client as long as the process lives
    def _address(self, model: str, version: str) -> URL:
        """A version's own address, taken apart once: that takes longer than all else of a request's head."""
        return URL(f"{self._url}/predictions/{model}/{version}", encoded=True)

    async def _post(self, route: Route, content: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        url = self._address(route.model, route.backend_version)
        own = {"Content-Type": "application/json", "Authorization": f"Bearer {self._keys.inference()}"}
        try:
            async with self._opened.post(url, data=content, headers={**headers, **own}) as response:
                return response.status, await response.read()
        except aiohttp.ClientError as error:
            raise Unreached(f"it cannot be reached ({type(error).__name__})") from error

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("open() comes first")
        return self._session


def _answer_of(status: int, body: bytes) -> Answer:
    """The one answer of an archive that takes one instance at a time; its handler's errors have a status."""
    answer = _parsed(body)
    if status == 200:
        return checked(answer)
    if isinstance(answer, dict) and "error" in answer:
        return {"error": answer["error"], "status": status}
    raise _fault_of(status, body)


def _parsed(body: bytes) -> Any:
    """JSON, or None for what is none.

    Raises:
        Refused: 502; it is nested too deep.
    """
    try:
        return parse(body)
    except TooDeep as error:
        message = f"The model's handler answered with something nested deeper than {MOST_LEVELS} levels."
        raise Refused(502, message) from error
    except orjson.JSONDecodeError:
        return None


def _fault_of(status: int, body: bytes) -> BackendFault:
    """Why a version did not answer; TorchServe's own errors carry a message."""
    document = _parsed(body)
    said = document.get("message") if isinstance(document, dict) else None
    kind = NotHeld if status == 404 else WorkerDied if said == DIED else BackendFault
    return kind(f"HTTP {status}, {said or 'without a reason'}")
