"""`POST /v1/models/<model>/explain`: how much each part of one instance adds to its answer.

What is asked for it is no prediction of anybody's: it is not in the log, in no statistics and in no
comparison of two versions. It counts as one request of its token, as any other with as many instances does.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from perennial_gateway.access.guard import permit
from perennial_gateway.access.sender import Scope
from perennial_gateway.backends.base import CALL_BYTES
from perennial_gateway.deadline import seconds_of
from perennial_gateway.route_table import RouteTable
from perennial_gateway.routes import Served
from perennial_gateway.schemas import MOST_INSTANCES, Unacceptable
from perennial_gateway.service import Service, head_of
from perennial_gateway.trace import trace_of
from perennial_gateway.user_page.occlusion import Part, Plan, Untried, effects, figure_of, plan
from perennial_gateway.web import Json, Refused, json_of

FORM = '{"instance": {...}}'


class Explanations:
    """Explains answers by occlusion: all that is asked goes to the version together, as one request."""

    def __init__(self, routes: RouteTable, service: Service) -> None:
        self._routes = routes
        self._service = service

    def paths(self) -> list[Path]:
        """What is below /v1."""
        return [Path("/models/{model}/explain", self.explain, methods=["POST"])]

    async def explain(self, request: Request) -> Response:
        """The answer, and what each part of the instance adds to it.

        Raises:
            Refused: As for a prediction; 413 for an instance of which a backend takes no two at once.
        """
        model: str = request.path_params["model"]
        permit(request.state.token, Scope.PREDICT, model)
        headers = request.scope["headers"]
        self._routes.routing(model)
        document = await json_of(request)
        # Not before: a body may be long on its way, and the version that was chosen be away by then.
        served = self._routes.choose(model, request.state.token.name, headers).served
        seconds = seconds_of(headers, served.route.timeout_seconds)
        with self._routes.used(served.route):
            # In a thread: it checks as many instances as a request may have, and cuts up a text for each.
            asked = await asyncio.to_thread(_asked, document, served)
            instances = [asked.instance, *(part.without for part in asked.plan.parts)]
            base, *others = await self._service.answers(served, instances, seconds, trace_of(headers))
        if isinstance(base, Refused):
            raise base
        return Json(_told(served, asked.plan, base, others))


class _Asked(NamedTuple):
    instance: Any
    plan: Plan


def _asked(document: Any, served: Served) -> _Asked:
    """What a request asks, and how it is found out.

    Raises:
        Refused: 422 or 413.
    """
    if not isinstance(document, dict) or set(document) != {"instance"}:
        raise Refused(422, f"The body is not an object with `instance` alone. Send {FORM}.")
    try:
        instance = served.inputs.accept(document["instance"])
    except Unacceptable as error:
        raise Refused(422, f"The instance breaks the model's input schema: {error}.") from error
    most = min(MOST_INSTANCES, CALL_BYTES // max(1, len(orjson.dumps(instance)))) - 1
    if most < 1:
        raise Refused(413, f"An instance of more than {CALL_BYTES // 2} bytes cannot be explained.")
    route = served.route
    return _Asked(
        instance, plan(instance, route.input_schema, route.input_example, served.inputs.fitting, most)
    )


def _told(
    served: Served, asked: Plan, base: Mapping[str, Any], others: list[dict[str, Any] | Refused]
) -> dict[str, Any]:
    answers = [None if isinstance(other, Refused) else other for other in others]
    parts = [
        part.told | {"effect": effect, "prediction": answer["prediction"]}
        for part, answer, effect in zip(asked.parts, answers, effects(base, answers), strict=True)
        if answer is not None
    ]
    figure = figure_of(base)
    unanswered = [
        Untried(_place(part), "no_answer")
        for part, answer in zip(asked.parts, answers, strict=True)
        if answer is None
    ]
    untried = [each.told | {"reason": each.reason} for each in (*asked.untried, *unanswered)]
    return head_of(served.route) | {
        "method": "occlusion",
        "prediction": base["prediction"],
        "score": base["score"],
        "figure": figure[0] if figure else None,
        "parts": parts,
        "not_tried": len(untried),
        "not_tried_parts": untried,
    }


def _place(part: Part) -> dict[str, Any]:
    """Its field; of a word which one."""
    names = ("field", "value", "start", "end") if "start" in part.told else ("field",)
    return {name: part.told[name] for name in names}
