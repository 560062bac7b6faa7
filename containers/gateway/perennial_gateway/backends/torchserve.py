"""TorchServe, as the gateway sees it: always at a version's own address.

An archive whose handler takes a list of instances gets it as one request. TorchServe's own batching, which
waits a millisecond at least for a batch to fill, is not used for these.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from perennial_gateway.backends.base import (
    CALL_BYTES,
    Answer,
    BackendFault,
    NotHeld,
    Unreached,
    WorkerDied,
    checked,
    in_parts,
)
from perennial_gateway.backends.http_client import HttpClient
from perennial_gateway.backends.key_file import KeyFile
from perennial_gateway.routes import Route
from perennial_gateway.web import MOST_LEVELS, Refused, TooDeep, parse

PROBE_SECONDS = 2.0
DIED = "Worker died."
"""What TorchServe says of a call whose worker ended meanwhile."""


class TorchServe:
    """Asks one TorchServe; see `Backend`."""

    def __init__(self, url: str, key_file: Path) -> None:
        self._client = HttpClient(url)
        self._keys = KeyFile(key_file)

    async def close(self) -> None:
        """See `Backend.close`."""
        self._client.close()

    async def alive(self) -> bool:
        """See `Server.alive`."""
        headers = {"Authorization": f"Bearer {self._keys.inference()}"}
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                status, _ = await self._client.ask("GET", "/ping", headers)
        except (Unreached, TimeoutError):
            return False
        return status < 400

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

    async def _post(self, route: Route, content: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        path = f"/predictions/{route.model}/{route.backend_version}"
        own = {"Content-Type": "application/json", "Authorization": f"Bearer {self._keys.inference()}"}
        return await self._client.ask("POST", path, {**headers, **own}, content)


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
