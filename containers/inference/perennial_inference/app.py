"""The paths of the Open Inference Protocol v2 and of Triton's model repository, as plain ASGI.

Sources: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md;
github.com/triton-inference-server/server, docs/protocol/extension_model_repository.md.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from perennial_inference.archives import Order
from perennial_inference.faults import Headers, Refused
from perennial_inference.repository import Repository
from perennial_inference.settings import InferenceSettings
from perennial_inference.tensors import Signature
from perennial_inference.tokens import Tokens

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SERVER = {"name": "perennial-inference", "version": "2", "extensions": ["model_repository"]}
PLATFORM = "perennial_archive"
BINARY = b"inference-header-content-length"
EMPTY = b"{}"
AGAIN_STATUSES = frozenset({503, 504})

logger = logging.getLogger("perennial_inference")


class Application:
    """The ASGI application; it lives from the server's start to its end."""

    def __init__(self, settings: InferenceSettings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self._repository = Repository(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            status, body = await self._route(scope, receive)
            headers: Headers = ((b"retry-after", b"1"),) if status in AGAIN_STATUSES else ()
        except Refused as refused:
            status, body, headers = refused.status, _error(str(refused)), refused.headers
        except Exception:
            logger.exception("%s %s", scope["method"], scope["path"])
            status, body, headers = 500, _error("The server failed; the reason is in its log."), ()
        await _answer(send, status, body, headers)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._repository.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._repository.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _route(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """The answer to a request: a status and a body."""
        match scope["path"].split("/")[1:]:
            case ["v2", "models", model, "versions", version, "infer"]:
                return await self._infer(model, version, scope, receive)
            case ["v2", "models", model, "infer"]:
                return await self._infer(model, None, scope, receive)
            case ["v2", "models", model, "versions", version, *rest]:
                return self._of_version(model, version, rest, scope)
            case ["v2", "models", model, *rest]:
                return self._of_version(model, None, rest, scope)
            case ["v2", "repository", *rest]:
                return await self._of_repository(rest, scope, receive)
            case ["v2", *rest]:
                return self._of_server(rest, scope)
        raise _nothing_at(scope)

    def _of_server(self, rest: list[str], scope: Scope) -> tuple[int, bytes]:
        """What anybody may ask: load balancers and probes have no token."""
        if rest in ([], [""]):
            return 200, orjson.dumps(SERVER)
        if rest == ["health", "live"]:
            return 200, orjson.dumps({"live": True})
        if rest == ["health", "ready"]:
            ready = self._repository.restored
            return 200 if ready else 503, orjson.dumps({"ready": ready})
        raise _nothing_at(scope)

    async def _infer(
        self, model: str, version: str | None, scope: Scope, receive: Receive
    ) -> tuple[int, bytes]:
        _require_method(scope, "POST")
        self._tokens.require("inference", _authorization(scope))
        found = self._repository.find(model, version)
        _require_json(scope)
        return await found.submit(await self._body(receive))

    def _of_version(
        self, model: str, version: str | None, rest: list[str], scope: Scope
    ) -> tuple[int, bytes]:
        _require_method(scope, "GET")
        self._tokens.require("inference", _authorization(scope))
        found = self._repository.find(model, version)
        if rest == ["ready"]:
            ready = found.state == "READY"
            return 200 if ready else 503, orjson.dumps({"name": model, "ready": ready})
        if rest == ["stats"]:
            return 200, orjson.dumps({"model_stats": [found.described()]})
        if rest:
            raise _nothing_at(scope)
        order = found.order
        signature = Signature.of(order.input_schema, order.label_schema)
        document = {
            "name": model,
            "versions": self._repository.versions_of(model),
            "platform": PLATFORM,
            "inputs": signature.inputs(),
            "outputs": signature.outputs(),
        }
        return 200, orjson.dumps(document)

    async def _of_repository(self, rest: list[str], scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """Triton's extension, and under `models/{m}` every version of a model with its workers and counts."""
        self._tokens.require("management", _authorization(scope))
        match scope["method"], rest:
            case "GET", ["models", model]:
                found = [each for each in self._repository.listed() if each.order.model == model]
                return 200, orjson.dumps({"versions": [version.described() for version in found]})
            case "POST", ["index"]:
                return 200, orjson.dumps(self._index(await self._document(receive)))
            case "POST", ["models", model, "load"]:
                await self._load(model, await self._document(receive))
                return 200, EMPTY
            case "POST", ["models", model, "unload"]:
                parameters = _parameters(await self._document(receive))
                unloaded = await self._repository.unload(model, parameters.get("version"))
                return 200, orjson.dumps({"unloaded": unloaded})
        raise _nothing_at(scope)

    async def _load(self, model: str, document: Any) -> None:
        """Load an archive; without one, change the version that is there."""
        parameters = _parameters(document)
        if "archive" in parameters or "version" not in parameters:
            await self._repository.load(Order.read({"model": model, **parameters}))
        else:
            await self._repository.scale(model, str(parameters["version"]), parameters)

    def _index(self, document: Any) -> list[dict[str, str]]:
        only_ready = isinstance(document, dict) and document.get("ready")
        described = (version.described() for version in self._repository.listed())
        return [
            {name: each[name] for name in ("name", "version", "state", "reason")}
            for each in described
            if each["state"] == "READY" or not only_ready
        ]

    async def _document(self, receive: Receive) -> Any:
        body = await self._body(receive)
        try:
            return orjson.loads(body) if body else {}
        except orjson.JSONDecodeError as error:
            raise Refused(400, f"The body is not JSON: {error}.") from error

    async def _body(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return body
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._settings.most_bytes:
                raise Refused(413, f"The body has more than {self._settings.most_bytes} bytes.")
        return b"".join(parts)


def _authorization(scope: Scope) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"authorization"), b"")


def _nothing_at(scope: Scope) -> Refused:
    return Refused(404, f"There is nothing at {scope['method']} {scope['path']}.")


def _require_method(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise Refused(405, f"Use {method} at {scope['path']}.", ((b"allow", method.encode()),))


def _require_json(scope: Scope) -> None:
    """Refuse the tensors of Triton's binary extension, which the protocol itself does not have."""
    if any(name == BINARY for name, _ in scope["headers"]):
        raise Refused(400, "Tensors in binary are not read here. Send them as JSON (binary_data=False).")


def _parameters(document: Any) -> dict[str, Any]:
    parameters = document.get("parameters", {}) if isinstance(document, dict) else None
    if not isinstance(parameters, dict):
        raise Refused(400, 'The body is not {"parameters": {...}}.')
    return parameters


def _error(message: str) -> bytes:
    return orjson.dumps({"error": message})


async def _answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    own = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})
