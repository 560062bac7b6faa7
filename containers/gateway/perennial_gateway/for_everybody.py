"""What the gateway shows everybody, without a token, as a browser asks: its pages and documents."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perennial_gateway import openapi
from perennial_gateway.access.guard import Guard
from perennial_gateway.environments import PREFIX
from perennial_gateway.page import HEADERS, docs_page, page
from perennial_gateway.route_table import RouteTable
from perennial_gateway.user_page.render import FILES, nothing_serves_page, user_page
from perennial_gateway.user_page.render import HEADERS as OF_USER_PAGE
from perennial_gateway.web import Json


class ForEverybody:
    """Of models what is in their schemas, and nothing that was asked or answered.

    Args:
        with_user_page: Whether there is a page for who asks a model without a program.
    """

    def __init__(self, routes: RouteTable, guard: Guard, *, with_user_page: bool) -> None:
        self._routes = routes
        self._guard = guard
        self._with_user_page = with_user_page

    def of_models(self) -> list[Route]:
        """What is below /v1. The guarded branch has it as well: it names its method to others."""
        always = [
            Route("/models/{model}/openapi.json", self.openapi),
            Route("/models/{model}/docs", self.docs),
        ]
        if not self._with_user_page:
            return always
        files = [Route(f"/models/{{model}}/{name}", self.file, name="page_file") for name in FILES]
        return [*always, Route("/models/{model}/page", self.user_page), *files]

    def of_the_gateway(self) -> list[Route]:
        """All of it, at its whole path."""
        below = [Route(f"/v1{each.path}", each.endpoint, name=each.name) for each in self.of_models()]
        return [*below, Route("/", self.page), Route("/openapi.json", self.openapi_of_all)]

    async def openapi(self, request: Request) -> Response:
        return Json(self._document(request))

    async def docs(self, request: Request) -> Response:
        """The same for people."""
        route = self._routes.served(request.path_params["model"]).route
        shown = docs_page(route.model, self._document(request), _below(request))
        return _html(shown, HEADERS)

    async def openapi_of_all(self, request: Request) -> Response:
        """Of the whole gateway."""
        routes = [self._routes.served(name).route for name in self._routes.names()]
        about = openapi.About(_below(request), self._guard.asks, self._with_user_page)
        return Json(openapi.of_gateway(routes, about))

    async def page(self, request: Request) -> Response:
        served = [self._routes.served(name) for name in self._routes.names()]
        host, below = request.headers.get("host", ""), _below(request)
        asks, links = self._guard.asks, self._with_user_page
        return _html(page(served, host, below, with_token=asks, with_user_page=links), HEADERS)

    async def user_page(self, request: Request) -> Response:
        """The page of a model for its users; where it does not serve, one that says so, with 404."""
        model = request.path_params["model"]
        if model not in self._routes.names():
            return _html(nothing_serves_page(model, _below(request)), OF_USER_PAGE, 404)
        served = self._routes.served(model)
        return _html(user_page(served, with_token=self._guard.asks), OF_USER_PAGE)

    async def file(self, request: Request) -> Response:
        """What that page loads; the same for every model."""
        content, kind = FILES[request.url.path.rpartition("/")[2]]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    def _document(self, request: Request) -> dict[str, Any]:
        route = self._routes.served(request.path_params["model"]).route
        about = openapi.About(_below(request), self._guard.asks, self._with_user_page)
        return openapi.of_model(route, about)


def _html(text: str, headers: Mapping[str, str], status: int = 200) -> Response:
    return Response(text, status, media_type="text/html", headers=headers)


def _below(request: Request) -> str:
    """The path below which the request's environment answers; empty for the gateway itself."""
    return str(request.scope.get(PREFIX, ""))
