"""TorchServe, as the gateway sees it: always at a version's own address.

An archive whose handler takes a list of instances gets it as one request. TorchServe's own batching, which
waits a millisecond at least for a batch to fill, is not used for these.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from yarl import URL

from perennial_gateway.backends.base import Answer, BackendFault, checked
from perennial_gateway.routes import Route
from perennial_gateway.web import MOST_LEVELS, Refused, TooDeep, parse

CONNECTIONS = 256


class KeyFile:
    """TorchServe's tokens.

    It writes new ones at every start, so that they are read again whenever the file has changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._inference = ""

    def inference(self) -> str:
        """The token of the inference address; the last
        known one while the file is missing or half written.
        """
        try:
            stat = os.stat(self._path)  # noqa: PTH116 - on every request; a Path costs five times as much
            if (seen := (stat.st_mtime_ns, stat.st_ino)) != self._seen:
                self._inference = json.loads(self._path.read_text(encoding="utf-8"))["inference"]["key"]
                self._seen = seen
        except (OSError, ValueError, KeyError):
            self._seen = None
        return self._inference


class TorchServe:
    """Asks one TorchServe; see `Backend`."""

    def __init__(self, url: str, key_file: Path) -> None:
        self._url = url.rstrip("/")
        self._keys = KeyFile(key_file)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """See `Backend.open`."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """See `Backend.close`."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, route: Route, instances: Sequence[Any], headers: Mapping[str, str]) -> list[Answer]:
        """See `Backend.ask`."""
        if not route.batches:
            [instance] = instances
            return [_answer_of(*await self._post(route, instance, headers))]
        status, body = await self._post(route, instances, headers)
        answers = _parsed(body) if status == 200 else None
        if not isinstance(answers, list):
            raise BackendFault(_fault_of(status, body))
        if len(answers) != len(instances):
            raise BackendFault(f"{len(answers)} answers came to {len(instances)} instances")
        return [checked(answer) for answer in answers]

    @lru_cache(maxsize=1024)  # noqa: B019 - there is one client as long as the process lives
    def _address(self, model: str, version: str) -> URL:
        """A version's own address, taken apart once: that takes longer than all else of a request's head."""
        return URL(f"{self._url}/predictions/{model}/{version}", encoded=True)

    async def _post(self, route: Route, document: Any, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("open() comes first")
        url = self._address(route.model, route.backend_version)
        own = {"Content-Type": "application/json", "Authorization": f"Bearer {self._keys.inference()}"}
        try:
            async with self._session.post(
                url, data=orjson.dumps(document), headers={**headers, **own}
            ) as response:
                return response.status, await response.read()
        except aiohttp.ClientError as error:
            raise BackendFault(f"it cannot be reached ({type(error).__name__})") from error


def _answer_of(status: int, body: bytes) -> Answer:
    """The one answer of an archive that takes one instance at a time; its handler's errors have a status."""
    answer = _parsed(body)
    if status == 200:
        return checked(answer)
    if isinstance(answer, dict) and "error" in answer:
        return {"error": answer["error"], "status": status}
    raise BackendFault(_fault_of(status, body))


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


def _fault_of(status: int, body: bytes) -> str:
    """Why a version did not answer; TorchServe's own errors carry a message."""
    document = _parsed(body)
    said = document.get("message") if isinstance(document, dict) else None
    return f"HTTP {status}, {said or 'without a reason'}"
