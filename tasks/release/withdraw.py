"""Take a model that was removed from the project out of service.

In this order: the ledger, the gateway's route, the backend's versions, the alias `champion`, so that a model
of the same name would begin anew. What was recorded stays: the versions in MLflow with their runs and
archives, the ledger, the tables of the lake, the gateway's log.
"""

import time

from tasks.contracts import Action, Route, Withdrawal, WithdrawRequest
from tasks.errors import InvalidRequest, ServingError
from tasks.ledger import entries
from tasks.monitoring import retrain
from tasks.monitoring.closing import close
from tasks.release.in_environment import Change, carry_out, tell_alias
from tasks.release.passages import WITHDRAWN
from tasks.release.switch import last_change, never_served, since
from tasks.serving.backend import exclusive, retire_all_but
from tasks.serving.environments import addresses, gateway_of
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import ServingBackendName
from tasks.stores import registry

DRAIN_SECONDS = 60.0


def withdraw(request: WithdrawRequest) -> Withdrawal:
    """Let the gateway answer no more requests for `request.model`, and unload its versions.

    Killed anywhere, the same step run again does what is left to do.

    Raises:
        InvalidRequest: The model's folder is still there, so that its DAG would serve it again; or no model
            of this name has ever been served here.
        ServingError: The gateway or the backend does not answer, or requests do not end.
    """
    model = request.model
    _require_removed(model)
    gateway = Gateway()
    with exclusive(model):
        route, aliased = gateway.route(model), registry.aliased_version(model)
        if not (route or aliased or gateway.history(model)):
            raise never_served(model)
        if route is not None:
            _withdraw(gateway, request, route)
        for environment in addresses():
            _withdraw_in(environment, request)
        unloaded = _unload(gateway, model, route)
        if aliased is not None:
            remove_alias(
                gateway, model, aliased, request.context.actor, f"The model was withdrawn: {request.reason}"
            )
        closed = _close_requests(model)
    return Withdrawal(model=model, served=route, unloaded=unloaded, champion=aliased, closed_requests=closed)


def _require_removed(model: str) -> None:
    folder = settings().models / model
    if (folder / "pipeline.yaml").exists():
        raise InvalidRequest(
            f"{folder} is still there, so the DAG train_{model} would serve the model again. Remove the "
            "folder first; where steps run in containers, build the images again without it."
        )


def _withdraw(gateway: Gateway, request: WithdrawRequest, route: Route) -> None:
    entry = entries.record(
        model=request.model,
        actor=request.context.actor,
        action=Action.WITHDRAW,
        before=route.model_version,
        after=None,
        why=request.reason,
        evidence={
            "route": route.model_dump(mode="json"),
            **since(gateway, request.model),
        },
    )
    gateway.withdraw(request.model)
    entries.complete(entry, "The gateway has no route.")


def _withdraw_in(environment: str, request: WithdrawRequest) -> None:
    """Serve the model no longer in an environment before production."""
    model, route = request.model, gateway_of(environment).route(request.model)
    if route is not None:
        actor, why = request.context.actor, request.reason
        carry_out(Change(environment, model, WITHDRAWN, actor, why, None, route), None)
    else:
        tell_alias(model, environment, None)


def _unload(gateway: Gateway, model: str, route: Route | None) -> tuple[str, ...]:
    """Remove every version, once no request is under way to them."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while under_way := gateway.in_flight(model):
        if time.monotonic() > deadline:
            raise ServingError(f"Requests to {model} do not end: {under_way}.")
        time.sleep(0.1)
    served_from: dict[ServingBackendName, set[str]] = {route.backend: set()} if route else {}
    return tuple(retire_all_but(model, served_from))


def remove_alias(gateway: Gateway, model: str, aliased: str, actor: str, why: str) -> None:
    """Let the alias `champion` of a model that is not served name no version."""
    entry = entries.record(
        model=model,
        actor=actor,
        action=Action.CHAMPION,
        before=aliased,
        after=None,
        why=why,
        evidence={"before": aliased, "route_change": last_change(gateway, model)},
    )
    registry.remove_champion(model)
    entries.complete(entry, f"The alias {registry.ALIAS} is gone.")


def _close_requests(model: str) -> tuple[str, ...]:
    """Close what was granted to a training that will not come."""
    runs = [each.train_run_id for each in retrain.open_requests() if each.model == model]
    return tuple(run for run in runs if close(model, run, "the model was withdrawn"))
