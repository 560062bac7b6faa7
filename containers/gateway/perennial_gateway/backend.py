"""TorchServe, as the gateway sees it: one instance in, one answer out, always at a version's own address."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from perennial_gateway.routes import Route, Served
from perennial_gateway.web import MOST_LEVELS, Refused, TooDeep, parse

PAUSES_SECONDS = (0.0, 0.05, 0.2)
"""Before each try.

A connection that was closed meanwhile, a worker that died with a neighbour's request: both pass at once.
"""

CONNECTIONS = 256
RETRY_AFTER = {"Retry-After": "2"}


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


class Backend:
    """Asks TorchServe for predictions."""

    def __init__(self, url: str, key_file: Path) -> None:
        self._url = url.rstrip("/")
        self._keys = KeyFile(key_file)
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make the connection pool; call it in the running event loop."""
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def predict(self, served: Served, instances: Sequence[Any]) -> list[dict[str, Any]]:
        """The answer to each instance, in their order, all from the version that is served.

        Raises:
            Refused: 422 when the model refuses an instance (none of the others is answered then either), 503
                when the backend does not answer, 504 when it takes longer than the route's timeout, 500 when
                the model's own code failed on an instance.
        """
        try:
            async with asyncio.timeout(served.route.timeout_seconds):
                if len(instances) == 1:
                    return [await self._one(served, 0, instances[0])]
                return await self._all(served, instances)
        except TimeoutError as error:
            late = f"The model did not answer within {served.route.timeout_seconds:g} seconds."
            message = f"{late} Try again, or send fewer instances."
            raise Refused(504, message, headers=RETRY_AFTER) from error

    async def _all(self, served: Served, instances: Sequence[Any]) -> list[dict[str, Any]]:
        tasks = [
            asyncio.ensure_future(self._one(served, number, instance))
            for number, instance in enumerate(instances)
        ]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _one(self, served: Served, number: int, instance: Any) -> dict[str, Any]:
        """One instance, tried again where the fault may pass by itself.

        A prediction changes nothing: twice does no harm.
        """
        with served.metrics.backend_seconds.time():
            fault = ""
            for pause in PAUSES_SECONDS:
                if pause:
                    served.metrics.backend_retries.inc()
                    await asyncio.sleep(pause)
                try:
                    status, body = await self._post(served.route, orjson.dumps(instance))
                except aiohttp.ClientError as error:
                    fault = f"it cannot be reached ({type(error).__name__})"
                    continue
                if status == 200:
                    return _answer_of(body)
                fault = _fault_of(status, body, number)
            raise Refused(
                503,
                f"The serving backend does not answer: {fault}. Nothing was accepted; try again.",
                headers=RETRY_AFTER,
            )

    async def _post(self, route: Route, body: bytes) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("open() comes first")
        url = f"{self._url}/predictions/{route.model}/{route.backend_version}"
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._keys.inference()}"}
        async with self._session.post(url, data=body, headers=headers) as response:
            return response.status, await response.read()


def _answer_of(body: bytes) -> dict[str, Any]:
    try:
        answer = parse(body)
    except TooDeep as error:
        message = f"The model's handler answered with something nested deeper than {MOST_LEVELS} levels."
        raise Refused(502, message) from error
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict) or "prediction" not in answer:
        raise Refused(502, "The model's handler answered something else than an object with a prediction.")
    return answer


def _fault_of(status: int, body: bytes, number: int) -> str:
    """Why a version did not answer; TorchServe's own errors carry a `type`, the handler's an `error`.

    Raises:
        Refused: The handler refused the instance (422) or failed on it alone (500), and would again.
    """
    try:
        document = parse(body)
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    if "error" in document:
        refused = 400 <= status < 500
        message = f"The model {'refuses' if refused else 'failed on'} instance {number}: {document['error']}"
        raise Refused(422 if refused else 500, message, instance=number)
    return f"HTTP {status}, {document.get('message', 'without a reason')}"
