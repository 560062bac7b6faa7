"""A server of the Open Inference Protocol v2, as the gateway sees it: always at a version's own address.

The version's metadata says which tensors it takes, and is asked for once, and again where it does not take
them any more. A server that gives `error` and
`status` beside the prediction, as our own does, refuses single instances; of any other one each instance of a
successful answer is answered.
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
JSON = "application/json"
DIED = "while it worked on this request"
"""What our own server says of a request whose worker ended meanwhile, and that was alone in it."""

Tensor = Mapping[str, Any]


class NotAccepted(BackendFault):
    """The version takes other tensors than these: its schemas were changed since it was asked for them."""


class Oip:
    """Asks one server; see `Backend`."""

    def __init__(self, url: str, key_file: Path) -> None:
        self._client = HttpClient(url)
        self._keys = KeyFile(key_file)
        self._inputs: dict[tuple[str, str, str], Sequence[Tensor]] = {}

    async def close(self) -> None:
        """See `Backend.close`."""
        self._client.close()

    async def alive(self) -> bool:
        """See `Server.alive`."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                status, _ = await self._client.ask("GET", "/v2/health/live", {})
        except (Unreached, TimeoutError):
            return False
        return status < 400

    async def ask(self, route: Route, instances: Sequence[Any], headers: Mapping[str, str]) -> list[Answer]:
        """See `Backend.ask`."""
        key = (route.model, route.backend_version, route.archive_sha256)
        inputs = self._inputs.get(key)
        if inputs is None:
            inputs = self._inputs[key] = await self._metadata(route, headers)
        body = orjson.dumps({"inputs": tensors_of(instances, inputs)})
        if len(body) > CALL_BYTES:
            return await in_parts(self.ask, route, instances, headers)
        try:
            document = await self._call("POST", route, "/infer", body, headers)
        except NotAccepted:
            found = self._inputs[key] = await self._metadata(route, headers)
            if found == inputs:
                raise
            return await self.ask(route, instances, headers)
        return answers_of(document, len(instances))

    async def _metadata(self, route: Route, headers: Mapping[str, str]) -> Sequence[Tensor]:
        return _inputs_of(await self._call("GET", route, "", b"", headers))

    async def _call(
        self, method: str, route: Route, what: str, body: bytes, headers: Mapping[str, str]
    ) -> Any:
        """The document that a version answers with."""
        path = f"/v2/models/{route.model}/versions/{route.backend_version}{what}"
        own = {"Content-Type": JSON, "Authorization": f"Bearer {self._keys.inference()}"}
        status, answer = await self._client.ask(method, path, {**headers, **own}, body)
        document = _parsed(answer)
        if status == 200 and isinstance(document, dict):
            return document
        said = document.get("error") if isinstance(document, dict) else None
        kinds: dict[int, type[BackendFault]] = {404: NotHeld, 400: NotAccepted}
        kind = WorkerDied if DIED in str(said) else kinds.get(status, BackendFault)
        raise kind(f"HTTP {status}, {said or 'without a reason'}")


def _inputs_of(document: dict[str, Any]) -> Sequence[Tensor]:
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise BackendFault("its metadata name no inputs")
    return inputs


def tensors_of(instances: Sequence[Any], inputs: Sequence[Tensor]) -> list[dict[str, Any]]:
    """Instances as the tensors that a version takes: one a feature, or one of JSON texts."""
    return [
        {
            "name": tensor["name"],
            "datatype": tensor["datatype"],
            "shape": [len(instances)],
            "data": [_text(instance) for instance in instances]
            if is_json(tensor)
            else [instance.get(tensor["name"]) for instance in instances],
        }
        for tensor in inputs
    ]


def answers_of(document: Mapping[str, Any], count: int) -> list[Answer]:
    """The answer to each of `count` instances in the outputs of a version.

    Raises:
        BackendFault: There is not one element of each output for each instance.
        Refused: 502; there is no prediction.
    """
    outputs = document.get("outputs")
    columns = {tensor["name"]: _column(tensor) for tensor in outputs or ()}
    if any(len(column) != count for column in columns.values()):
        raise BackendFault(f"not one answer came to each of {count} instances")
    if "prediction" not in columns:
        raise Refused(502, "The model's server answered without an output named prediction.")
    errors, statuses = columns.pop("error", None), columns.pop("status", None)
    names = list(columns)
    answers = [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns.values(), strict=True)
    ]
    for place, error in enumerate(errors or ()):
        if error:
            answers[place] = {"error": error, "status": statuses[place] if statuses else 500}
    return [checked(answer) for answer in answers]


def _column(tensor: Tensor) -> Sequence[Any]:
    """A tensor's elements; of JSON texts what they say, None for an empty one."""
    data: Sequence[Any] = tensor["data"]
    return [_parsed(text.encode()) if text else None for text in data] if is_json(tensor) else data


def is_json(tensor: Tensor) -> bool:
    """Whether a tensor's texts are JSON documents."""
    return bool(tensor.get("parameters", {}).get("content_type") == JSON)


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


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
