"""The application: which path leads where, who may go there, and what becomes of an error."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from perennial_gateway import database
from perennial_gateway.access.directory import Directory, Operators
from perennial_gateway.access.grants import Grants
from perennial_gateway.access.guard import Guard, Guarded
from perennial_gateway.access.sender import Scope
from perennial_gateway.backends.kinds import backends_of
from perennial_gateway.environments import ByEnvironment
from perennial_gateway.failures import Failures
from perennial_gateway.fast import Predictions
from perennial_gateway.feedback_limit import FeedbackLimit
from perennial_gateway.for_everybody import ForEverybody
from perennial_gateway.for_steps import ForSteps
from perennial_gateway.for_tokens import ForTokens
from perennial_gateway.for_users import ForUsers
from perennial_gateway.history import History
from perennial_gateway.label_schemas import LabelSchemas
from perennial_gateway.log import DurableLog
from perennial_gateway.metrics import REQUESTS, Gauges
from perennial_gateway.peers import Peers
from perennial_gateway.predict_batch import BatchPredictions
from perennial_gateway.route_table import RouteTable
from perennial_gateway.service import Service
from perennial_gateway.settings import GatewaySettings, is_loopback, require_guarded
from perennial_gateway.shadow import Shadows
from perennial_gateway.takebacks import Takebacks
from perennial_gateway.user_page.explain import Explanations
from perennial_gateway.web import FAILED, Json, Refused

logger = logging.getLogger("perennial_gateway")

TO_USERS = "Send the header Authorization: Bearer <token>; who runs this platform gives you a token."
TO_STEPS = "This address is for the platform's steps: send the header Authorization: Bearer <gateway token>."


class OneEnvironment(NamedTuple):
    """The gateway of one environment.

    Attributes:
        live: What it needs from its start to its end.
    """

    app: ASGIApp
    live: Callable[[], AbstractAsyncContextManager[None]]


def application(settings: GatewaySettings) -> ASGIApp:
    """The gateway, and those of the environments that answer on its port. It reads its database's routes now;
    what else it needs lives from its start to its end.

    Tokens are the same in all environments of one database: they are with production's records.

    Raises:
        sa.exc.SQLAlchemyError: The database cannot be used.
        ValueError: A route that it holds cannot be read.
        Unguarded: Others can reach the gateway, and there is no token.
        UnsafeFolder: The log's folder is another user's.
    """
    of_tokens, gauges = database.connect(settings.gateway_database_url), Gauges()
    is_production = settings.database == settings.gateway_database_url
    engine = of_tokens if is_production else database.connect(settings.database)
    others = {
        each.gateway_environment: _one(each, database.connect(each.database), of_tokens, gauges, {})
        for each in settings.beside
    }
    own = _one(settings, engine, of_tokens, gauges, others)
    apps = {name: other.app for name, other in others.items()}
    return ByEnvironment(own.app, apps) if apps else own.app


def _one(
    settings: GatewaySettings,
    engine: sa.Engine,
    of_tokens: sa.Engine,
    gauges: Gauges,
    others: Mapping[str, OneEnvironment],
) -> OneEnvironment:
    """The gateway of one environment.

    Args:
        of_tokens: Where the tokens are.
        others: They live as long as this one does.
    """
    environment, grants = settings.gateway_environment, Grants(of_tokens)
    routes = RouteTable(engine, environment)
    routes.load()
    log = DurableLog(
        engine,
        settings.make_spool(),
        most_bytes=settings.log_spool_bytes,
        synced=settings.log_durability == "power",
    )
    backends = backends_of(settings)
    failures = Failures(log)
    shadows = Shadows(routes, backends, log, failures)
    limit = FeedbackLimit(settings.feedback_limit, settings.gateway_workers)
    schemas = LabelSchemas(engine, routes)
    service = Service(routes, backends, log, limit, failures, shadows, schemas)

    def tell_gauges() -> None:
        gauges.tell(environment, log.behind_bytes, routes.in_flight.total())

    peers = Peers(engine, routes, tell_gauges)
    directory = _directory(settings, grants)
    guard = Guard(directory, TO_USERS)
    operators = Guard(Operators(settings.steps, directory), TO_STEPS)
    batches = BatchPredictions(routes, service)
    users = ForUsers(routes, log, History(engine, schemas.of), service, batches, guard, tell_gauges)
    everybody = ForEverybody(routes, guard, with_user_page=settings.user_page)
    explained = Explanations(routes, service).paths() if settings.user_page else []
    steps = ForSteps(engine, routes, log, service, Takebacks(engine), failures, peers)
    tokens = ForTokens(grants, directory, settings.users)

    @asynccontextmanager
    async def live() -> AsyncIterator[None]:
        log.start()
        await peers.start()
        following = asyncio.create_task(directory.follow())
        async with AsyncExitStack() as stack:
            for other in others.values():
                await stack.enter_async_context(other.live())
            yield
        following.cancel()
        await shadows.stop()
        await failures.flush()
        await backends.close()
        await asyncio.to_thread(log.stop)
        await peers.stop()
        engine.dispose()

    internal = [*tokens.paths(), *steps.paths(), *batches.paths()]
    paths = [
        *everybody.of_the_gateway(),
        *users.of_the_gateway(),
        Mount("/v1", Guarded(_router([*explained, *everybody.of_models(), *users.of_models()]), guard)),
        Mount("/internal", Guarded(_router(internal), operators, Scope.ADMIN)),
    ]
    boundary = Middleware(Boundary, routes)
    app = Starlette(
        routes=paths, middleware=[boundary], exception_handlers=ANSWERS, lifespan=lambda _: live()
    )
    app.router.redirect_slashes = False
    return OneEnvironment(Predictions(app, service, routes, guard), live)


def _directory(settings: GatewaySettings, grants: Grants) -> Directory:
    """All tokens, as they are known now.

    Raises:
        Unguarded: There is none, and others can reach the gateway.
    """
    open_without = is_loopback(settings.gateway_host)
    directory = Directory(grants, settings.users, settings.defaults, open_without=open_without)
    directory.load()
    require_guarded(settings, no_tokens=directory.is_empty)
    return directory


def _router(routes: list[Route]) -> Router:
    return Router(routes, redirect_slashes=False)


class Boundary:
    """The outermost piece of ours: counts each request, and answers for faults that nobody foresaw.

    Plain ASGI: Starlette's BaseHTTPMiddleware would start a task for every request.
    """

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-content-type-options", b"nosniff"))
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            logger.exception("%s %s", scope["method"], scope["path"])
            if status:
                raise
            await Json(FAILED, 500)(scope, receive, answer)
        finally:
            self._count(scope, status)

    def _count(self, scope: Connection, status: int) -> None:
        endpoint = getattr(scope.get("route"), "name", "") or "none"
        model = scope.get("path_params", {}).get("model", "")
        REQUESTS.labels(endpoint, self._routes.label(model), str(status)).inc()


async def _answer_refusal(_request: Request, refused: Refused) -> Response:
    return Json(refused.body, refused.status, refused.headers)


async def _answer_unknown_route(request: Request, error: HTTPException) -> Response:
    method, path = request.method, request.scope["path"]
    allowed = (error.headers or {}).get("Allow")
    if allowed:
        sentence = f"{method} is not allowed at {path}. Use {allowed}."
    else:
        sentence = f"There is nothing at {path}. See / for what there is."
    return Json({"error": sentence}, error.status_code, error.headers)


async def _without_database(request: Request, error: Exception) -> Response:
    logger.error("%s %s: the database failed", request.method, request.scope["path"], exc_info=error)
    return Json({"error": "The gateway's database does not answer. Try again."}, 503, {"Retry-After": "5"})


ANSWERS: dict[Any, Any] = {
    Refused: _answer_refusal,
    HTTPException: _answer_unknown_route,
    sa.exc.SQLAlchemyError: _without_database,
}
"""What becomes of an error that an endpoint raises."""
