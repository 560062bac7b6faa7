"""Put a promoted version into service without a failed request.

Load beside the serving version → smoke-test through the deployed archive → write the decision into the ledger
→ switch the gateway's route → see the new version answer through the gateway → move the alias `champion` →
remove the oldest. Up to the switch nothing that users see has changed; killed anywhere, the same step run
again does what is left to do. The version before stays loaded, so that a rollback is one change of a route.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tasks.contracts import (
    Action,
    DeployRequest,
    LedgerEntry,
    ModelVersion,
    Rollout,
    RolloutCheck,
    Route,
)
from tasks.errors import PerennialError
from tasks.ledger import precedent
from tasks.release.ab_record import compared_route
from tasks.release.bring_up import bring_up
from tasks.release.in_environment import in_use, retire_unused
from tasks.release.record import candidate_of
from tasks.release.switch import (
    Decision,
    confirm,
    example_of,
    find_previous_route,
    move_champion,
    route_of,
    switch,
)
from tasks.release.tried import tried
from tasks.serving.backend import ServingBackend, exclusive, retire_all_but, serving_backend, versions_of
from tasks.serving.champion import tell_champion
from tasks.serving.gateway import Gateway
from tasks.spec import PRODUCTION

DRAIN_SECONDS = 60.0


def deploy(request: DeployRequest) -> Rollout:
    """Serve `request.version`.

    Raises:
        GateRefused: The gate did not promote this archive, or judged it against another version than the one
            that serves; or it was left since, by a rollback or a withdrawal.
        ArchiveMismatch: The archive is not the one that was judged.
        ServingError: The version does not load or does not answer as it was judged; what served before goes
            on serving.
    """
    promotion = precedent.promotion_of_version(request.version)
    return release(request, _why(request.version), lambda: require_still_promised(promotion, request.version))


def release(
    request: DeployRequest,
    why: str,
    may: Callable[[], None] | None = None,
    *,
    told: Mapping[str, Any] | None = None,
    serves: Callable[[], None] | None = None,
) -> Rollout:
    """Serve a version that the gate promoted; raises as `deploy`.

    Args:
        why: A sentence; the ledger keeps it.
        may: Called before a version is loaded that does not serve, or gets other settings, and once more
            before it comes to serve, and raises where it may not; None where a person decided it. Nothing
            else changes what serves between it and the switch.
        told: What the entry of the switch keeps beside the routes.
        serves: Called once the version is seen to serve, before anything else may change that.
    """
    started = time.monotonic()
    precedent.promotion_of_version(request.version)
    backend, gateway = serving_backend(request.spec.serving.backend), Gateway()
    target, actor = route_of(request.spec, request.version), request.context.actor
    with exclusive(target.model):
        fits = backend.fits(request.version.archive, request.spec.serving)
        if may and not (gateway.route(target.model) == target and fits):
            may()  # before anything is loaded
    with tried(target, lambda: _bring_up(backend, request)) as checks:
        current = gateway.route(target.model)
        if may and not (current == target and fits):
            _require(may, target.model)
        # A candidate under way may answer every user already, although the route does not name it yet.
        elsewhere = [candidate_of(target.model), compared_route(target.model), *in_use(target.model)]
        if current != target:
            switch(gateway, target.model, target, current, Decision(Action.DEPLOY, actor, why, told or {}))
        expected = request.version.archive.example_prediction
        checks.append(confirm(gateway, target, current, expected, actor))
        previous = find_previous_route(gateway.history(target.model))
        move_champion(gateway, target, actor)
        if serves:
            serves()
        _remove_the_oldest(gateway, target, [target, previous, *elsewhere])
    return Rollout(
        model=target.model,
        stable=target,
        previous=previous,
        candidate=None,
        traffic_share=1.0,
        checks=tuple(checks),
        verdict="already_serving" if current == target else "deployed",
        seconds=time.monotonic() - started,
    )


def _bring_up(backend: ServingBackend, request: DeployRequest) -> list[RolloutCheck]:
    example = example_of(request.version, request.spec)
    return bring_up(backend, request.version.archive, request.spec, example)


def _require(may: Callable[[], None], model: str) -> None:
    """Look again whether the version may serve, now that nothing else changes; else it is unloaded."""
    try:
        may()
    except PerennialError:
        retire_unused(model, PRODUCTION)
        raise


def require_still_promised(promotion: LedgerEntry, version: ModelVersion) -> None:
    """Refuse a candidate that was left since, or was judged against another version than the champion.

    The champion itself may come back where the gateway has lost its routes: it is judged already.

    Raises:
        GateRefused: It is one.
        ServingError: The gateway does not answer.
    """
    precedent.require_not_left(promotion, version)
    serving = tell_champion(version.model).version
    if serving is None or serving.run_id != version.run_id:
        precedent.require_same_champion(promotion, serving.run_id if serving else None)


def _why(version: ModelVersion) -> str:
    """Why a version is switched to: it answers as it was judged, and the gate's own reason."""
    gate = version.tags.get("perennial.why", "the gate promoted it")
    return f"Version {version.version} is loaded and answers its example as it was judged. The gate: {gate}"


def _remove_the_oldest(gateway: Gateway, target: Route, kept: list[Route | None]) -> None:
    """Remove every version but those of the routes that are kept, once no request is under way to them; also
    from the backend that the model has left.

    A request with thousands of instances may take an hour: the version that answers it stays, and the DAG
    `reconcile_ledger` unloads it afterwards.
    """
    keep = {each.backend_version for each in kept if each is not None}
    deadline = time.monotonic() + DRAIN_SECONDS
    while (busy := set(gateway.in_flight(target.model)) - keep) and time.monotonic() < deadline:
        time.sleep(0.1)
    retire_all_but(target.model, versions_of(kept), busy)
