"""Put a promoted version into service without a failed request.

Load beside the serving version → smoke-test through the deployed archive → write the decision into the ledger
→ switch the gateway's route → see the new version answer through the gateway → move the alias `champion` →
remove the oldest. Up to the switch nothing that users see has changed; killed anywhere, the same step run
again does what is left to do. The version before stays loaded, so that a rollback is one change of a route.
"""

import time

from tasks.contracts import (
    Action,
    Archive,
    DeployRequest,
    LedgerEntry,
    ModelVersion,
    Rollout,
    RolloutCheck,
    Route,
)
from tasks.errors import ServingError
from tasks.ledger import precedent
from tasks.release.bring_up import bring_up
from tasks.release.switch import (
    move_champion,
    record_switch,
    require_answer,
    route_of,
    same_archive,
    served_before,
)
from tasks.serving.backend import ServingBackend, serving_backend
from tasks.serving.champion import find_champion
from tasks.serving.gateway import Gateway

DRAIN_SECONDS = 60.0


def deploy(request: DeployRequest) -> Rollout:
    """Serve `request.version`.

    Raises:
        GateRefused: The gate did not promote this archive, or judged it against another version than the one
            that serves.
        ArchiveMismatch: The archive is not the one that was judged.
        ServingError: The version does not load or does not answer as it was judged; what served before goes
            on serving.
    """
    started = time.monotonic()
    promotion = precedent.promotion_of_version(request.version)
    backend, gateway = serving_backend(), Gateway()
    with backend.exclusive(request.spec.name):
        target = route_of(request.spec, request.version)
        current = gateway.route(target.model)
        if current is None or not same_archive(current, target):
            _require_judged_against_champion(promotion, request.version)
        previous = served_before(gateway.history(target.model))
        try:
            checks = bring_up(backend, request.version.archive, request.spec)
        except ServingError:
            backend.prune(target.model, {route.backend_version for route in (current, previous) if route})
            raise
        if current != target:
            record_switch(
                gateway, Action.DEPLOY, target, current, request.context.actor, _why(request.version)
            )
            gateway.put(target, "deploy")
        checks += _confirm(gateway, target, current, request.version.archive, request.context.actor)
        previous = served_before(gateway.history(target.model))
        move_champion(gateway, target, request.context.actor)
        _remove_the_oldest(backend, gateway, target, previous)
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


def _require_judged_against_champion(promotion: LedgerEntry, version: ModelVersion) -> None:
    """Refuse a candidate that was judged against another version than the champion.

    The champion itself may come back where the gateway has lost its routes: it is judged already.
    """
    serving = find_champion(version.model).version
    if serving is None or serving.run_id != version.run_id:
        precedent.require_same_champion(promotion, serving.run_id if serving else None)


def _why(version: ModelVersion) -> str:
    """Why a version is switched to: it answers as it was judged, and the gate's own reason."""
    gate = version.tags.get("perennial.why", "the gate promoted it")
    return f"Version {version.version} is loaded and answers its example as it was judged. The gate: {gate}"


def _confirm(
    gateway: Gateway, target: Route, current: Route | None, archive: Archive, actor: str
) -> list[RolloutCheck]:
    """See the new version answer through the gateway; where it does not, put the old one back.

    Raises:
        ServingError: It does not answer as judged.
    """
    try:
        return [require_answer(gateway, target, archive.example_prediction)]
    except ServingError as error:
        if current is not None and current != target:
            why = f"Version {target.model_version} does not serve: {error}"
            record_switch(gateway, Action.ROLLBACK, current, target, actor, why)
            gateway.put(current, "rollback")
        raise


def _remove_the_oldest(
    backend: ServingBackend, gateway: Gateway, target: Route, previous: Route | None
) -> None:
    """Remove every version but the serving one and the one before, once no request is under way to them."""
    keep = {target.backend_version} | ({previous.backend_version} if previous else set())
    deadline = time.monotonic() + DRAIN_SECONDS
    while set(gateway.in_flight(target.model)) - keep:
        if time.monotonic() > deadline:
            raise ServingError(
                f"Requests to earlier versions of {target.model} do not end: "
                f"{gateway.in_flight(target.model)}."
            )
        time.sleep(0.1)
    backend.prune(target.model, keep)
