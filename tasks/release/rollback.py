"""Send a model's requests back to the version that truly served before the present one."""

import time

from tasks.contracts import Action, Rollout, RolloutCheck, Route
from tasks.errors import InvalidRequest
from tasks.ledger import precedent
from tasks.release.bring_up import SMOKE_SECONDS, bring_up
from tasks.release.switch import move_champion, record_switch, require_answer, served_before
from tasks.serving.backend import ServingBackend, serving_backend
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import registry


def rollback(model: str, actor: str, why: str, *, leaving: str | None = None) -> Rollout:
    """Send a model's requests back to the version that truly served before the present one.

    Args:
        actor: Who decides; the ledger names them.
        why: A sentence; the ledger keeps it.
        leaving: The version that they want to leave; None for whichever serves.

    Raises:
        InvalidRequest: No version served before, or another one serves than `leaving`.
        GateRefused: The gate did not promote the earlier version.
        ServingError: The earlier version does not answer any more; what serves now goes on serving.
    """
    started = time.monotonic()
    backend, gateway = serving_backend(), Gateway()
    with backend.exclusive(model):
        current, target = gateway.route(model), served_before(gateway.history(model))
        serving = current.model_version if current else None
        if leaving is not None and serving != leaving:
            raise InvalidRequest(
                f"{model} is not rolled back: version {leaving} was to be left, but version {serving} serves "
                "now. Look again at what serves."
            )
        if current is None or target is None:
            raise InvalidRequest(
                f"There is nothing to roll {model} back to: no other version has served before. See its "
                "ledger."
            )
        checks = _bring_back(backend, target)
        record_switch(gateway, Action.ROLLBACK, target, current, actor, why)
        gateway.put(target, "rollback")
        checks += [require_answer(gateway, target, {})]
        move_champion(gateway, target, actor)
    return Rollout(
        model=model,
        stable=target,
        previous=current,
        candidate=None,
        traffic_share=1.0,
        checks=tuple(checks),
        verdict="rolled_back",
        seconds=time.monotonic() - started,
    )


def _bring_back(backend: ServingBackend, target: Route) -> list[RolloutCheck]:
    """See that an earlier version answers; it is usually still loaded, else it is loaded from its archive."""
    version = registry.get_version(target.model, target.model_version)
    precedent.promotion_of_version(version)
    if not backend.holds(target.model, target.backend_version, target.archive_sha256):
        spec = PipelineSpec.load(settings().models / target.model / "pipeline.yaml")
        return bring_up(backend, version.archive, spec)
    found = backend.predict(
        target.model, target.backend_version, target.input_example, timeout_seconds=SMOKE_SECONDS
    )
    return [RolloutCheck(check="smoke test", passed=True, detail=f"still loaded; answers {found}")]
