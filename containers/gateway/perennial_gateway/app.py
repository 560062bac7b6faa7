"""The ASGI application: which path does what, and what becomes of an error."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import sqlalchemy as sa

from perennial_gateway import database
from perennial_gateway.asgi import JSON_TYPE, Receive, Refused, Request, Scope, Send, answer
from perennial_gateway.backend import Backend
from perennial_gateway.log import TABLES, DurableLog
from perennial_gateway.metrics import REQUESTS, exposition
from perennial_gateway.page import page
from perennial_gateway.routes import RouteTable, Served
from perennial_gateway.service import Service
from perennial_gateway.settings import GatewaySettings

logger = logging.getLogger("perennial_gateway")

MOST_ROWS = 10_000
HTML_TYPE = b"text/html; charset=utf-8"
TEXT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Reply(NamedTuple):
    body: Any
    status: int = 200
    kind: bytes = JSON_TYPE


class Endpoint(NamedTuple):
    """A path, and the method that answers it for each HTTP method. The path's groups are passed by name."""

    name: str
    path: re.Pattern[str]
    methods: dict[str, Callable[..., Awaitable[Reply]]]
    internal: bool = False


class Gateway:
    """The application. Its parts live from the server's start to its end."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._token = settings.gateway_token.get_secret_value()
        engine = database.connect(settings.gateway_database_url)
        self._engine = engine
        self._routes = RouteTable(engine)
        self._log = DurableLog(engine)
        self._backend = Backend(settings.torchserve_inference_url, settings.torchserve_key_file)
        self._service = Service(self._routes, self._backend, self._log)
        self._endpoints = (
            Endpoint("predict", _path("/v1/models/{model}/predict"), {"POST": self._predict}),
            Endpoint("feedback", _path("/v1/models/{model}/feedback"), {"POST": self._feedback}),
            Endpoint("models", _path("/v1/models"), {"GET": self._models}),
            Endpoint("model", _path("/v1/models/{model}"), {"GET": self._model}),
            Endpoint("healthz", _path("/healthz"), {"GET": self._health}),
            Endpoint("metrics", _path("/metrics"), {"GET": self._metrics}),
            Endpoint("page", _path("/"), {"GET": self._page}),
            Endpoint(
                "route",
                _path("/internal/routes/{model}"),
                {"GET": self._get_route, "PUT": self._put_route, "DELETE": self._delete_route},
                internal=True,
            ),
            Endpoint(
                "history", _path("/internal/routes/{model}/history"), {"GET": self._history}, internal=True
            ),
            Endpoint(
                "in_flight",
                _path("/internal/routes/{model}/in_flight"),
                {"GET": self._in_flight},
                internal=True,
            ),
            Endpoint("probe", _path("/internal/probe/{model}"), {"POST": self._probe}, internal=True),
            Endpoint("log", _path("/internal/log"), {"GET": self._log_id}, internal=True),
            Endpoint("log", _path("/internal/log/{table}"), {"GET": self._read_log}, internal=True),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Request(scope, receive), send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._routes.load()
            self._log.start()
            self._backend.open()
        except (sa.exc.SQLAlchemyError, ValueError) as error:
            await send(
                {
                    "type": "lifespan.startup.failed",
                    "message": f"The gateway's database cannot be used: {error}",
                }
            )
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._backend.close()
        await asyncio.to_thread(self._log.stop)
        self._engine.dispose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, request: Request, send: Send) -> None:
        name, model, status = "none", "", 500
        headers: dict[str, str] = {}
        try:
            endpoint, groups = self._find(request)
            name, model = endpoint.name, groups.get("model", "")
            reply = await endpoint.methods[request.method](request, **groups)
        except Refused as refused:
            reply, headers = Reply(refused.body, refused.status), refused.headers
        except sa.exc.SQLAlchemyError:
            logger.exception("%s %s: the database failed", request.method, request.path)
            reply, headers = (
                Reply({"error": "The gateway's database does not answer. Try again."}, 503),
                {"Retry-After": "5"},
            )
        except (
            Exception
        ):  # the boundary of the request: the fault is in the log, and the client hears that it is ours
            logger.exception("%s %s", request.method, request.path)
            reply = Reply({"error": "The gateway failed at this request; the reason is in its log."}, 500)
        status = reply.status
        REQUESTS.labels(name, model if model in self._routes else "", str(status)).inc()
        await answer(send, status, reply.body, kind=reply.kind, headers=headers)

    def _find(self, request: Request) -> tuple[Endpoint, dict[str, str]]:
        for endpoint in self._endpoints:
            if match := endpoint.path.fullmatch(request.path):
                if request.method not in endpoint.methods:
                    allowed = ", ".join(endpoint.methods)
                    message = f"{request.method} is not allowed at {request.path}. Use {allowed}."
                    raise Refused(405, message, headers={"Allow": allowed})
                if endpoint.internal and not request.bears(self._token):
                    message = (
                        "This address is for the steps alone. Send the header Authorization: Bearer <gateway "
                        "token>."
                    )
                    raise Refused(401, message, headers={"WWW-Authenticate": "Bearer"})
                return endpoint, match.groupdict()
        raise Refused(404, f"There is nothing at {request.path}. See / for what there is.")

    # --- for users ------------------------------------------------------------------------------------------

    async def _predict(self, request: Request, model: str) -> Reply:
        return Reply(await self._service.predict(model, request))

    async def _feedback(self, request: Request, model: str) -> Reply:
        return Reply(await self._service.feedback(model, request), 202)

    async def _models(self, _request: Request) -> Reply:
        return Reply({"models": [_summary(self._routes.served(name)) for name in self._routes.names()]})

    async def _model(self, _request: Request, model: str) -> Reply:
        served = self._routes.served(model)
        wanted = {"input_schema", "label_schema", "input_example", "timeout_seconds"}
        return Reply(_summary(served) | served.route.model_dump(include=wanted))

    async def _health(self, _request: Request) -> Reply:
        if not self._log.alive:
            raise Refused(503, "The log's writer has ended. Restart the gateway.")
        return Reply({"status": "ok", "models": self._routes.names()})

    async def _metrics(self, _request: Request) -> Reply:
        return Reply(exposition(), kind=TEXT_TYPE)

    async def _page(self, request: Request) -> Reply:
        served = [self._routes.served(name) for name in self._routes.names()]
        return Reply(page(served, request.header(b"host")), kind=HTML_TYPE)

    # --- for the steps --------------------------------------------------------------------------------------

    async def _get_route(self, _request: Request, model: str) -> Reply:
        return Reply(self._routes.served(model).route.model_dump())

    async def _put_route(self, request: Request, model: str) -> Reply:
        route = await self._routes.put(model, await request.json(), request.query().get("change", "deploy"))
        return Reply(route.model_dump())

    async def _delete_route(self, _request: Request, model: str) -> Reply:
        await self._routes.withdraw(model)
        return Reply({"withdrawn": model})

    async def _history(self, _request: Request, model: str) -> Reply:
        return Reply({"history": await asyncio.to_thread(self._routes.history, model)})

    async def _in_flight(self, _request: Request, model: str) -> Reply:
        counted = {
            version: count for (of, version), count in self._routes.in_flight.items() if of == model and count
        }
        return Reply({"in_flight": counted})

    async def _probe(self, request: Request, model: str) -> Reply:
        return Reply(await self._service.probe(model, request))

    async def _log_id(self, _request: Request) -> Reply:
        return Reply({"log_id": await asyncio.to_thread(database.log_id, self._engine)})

    async def _read_log(self, request: Request, table: str) -> Reply:
        if table not in TABLES:
            raise Refused(404, f"There is no log {table!r}. There are {', '.join(TABLES)}.")
        query = request.query()
        model, after, limit = (
            query.get("model", ""),
            _number(query, "after", 0),
            _number(query, "limit", MOST_ROWS),
        )
        rows = await asyncio.to_thread(self._log.read, table, model, after, min(limit, MOST_ROWS))
        return Reply({"rows": rows, "last_sequence": rows[-1]["sequence"] if rows else after})


def _path(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern))


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise Refused(422, f"{name}={text!r} is not a whole number of 0 or more.")
    return int(text)


def _summary(served: Served) -> dict[str, Any]:
    route = served.route
    return {
        "model": route.model,
        "model_version": route.model_version,
        "run_id": route.run_id,
        "archive_sha256": route.archive_sha256,
        "serving_since": served.since,
    }
