"""Put a promoted version into service, and back out of it, without a failed request.

Load beside the serving version → smoke-test through the deployed archive → write the decision into the ledger
→ switch the gateway's route → see the new version answer through the gateway → move the alias `champion` →
remove the oldest. Up to the switch nothing that users see has changed; killed anywhere, the same step run
again does what is left to do. The version before stays loaded, so that a rollback is one change of a route.
"""

import math
import time
from typing import Any

from tasks.contracts import Archive, DeployRequest, LedgerEntry, ModelVersion, Rollout, RolloutCheck, Route
from tasks.errors import GateRefused, InvalidRequest, ServingError
from tasks.ledger import entries
from tasks.serving.backend import ServingBackend, serving_backend
from tasks.serving.gateway import Gateway, RouteChange
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import registry

SCORE_TOLERANCE = 1e-3
"""By how much a score may differ between the machine that judged an archive and the one that serves it."""

SMOKE_SECONDS = 30.0
DRAIN_SECONDS = 60.0


def deploy(request: DeployRequest) -> Rollout:
    """Serve `request.version`.

    Raises:
        GateRefused: The gate did not promote this archive.
        ArchiveMismatch: The archive is not the one that was judged.
        ServingError: The version does not load or does not answer as it was judged; what served before goes
            on serving.
    """
    started = time.monotonic()
    require_promotion(request.version)
    backend, gateway = serving_backend(), Gateway()
    with backend.exclusive(request.spec.name):
        target = route_of(request.spec, request.version)
        current = gateway.route(target.model)
        previous = served_before(gateway.history(target.model))
        try:
            checks = _bring_up(backend, request.version.archive, request.spec)
        except ServingError:
            backend.prune(target.model, {route.backend_version for route in (current, previous) if route})
            raise
        if current != target:
            _record_switch(gateway, "deploy", target, current, request.context.actor, _why(request.version))
            gateway.put(target, "deploy")
        checks += _confirm(gateway, target, current, request.version.archive, request.context.actor)
        previous = served_before(gateway.history(target.model))
        _move_champion(gateway, target, request.context.actor)
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


def rollback(model: str, actor: str, why: str) -> Rollout:
    """Send a model's requests back to the version that truly served before the present one.

    Args:
        actor: Who decides; the ledger names them.
        why: A sentence; the ledger keeps it.

    Raises:
        InvalidRequest: No version served before.
        ServingError: The earlier version does not answer any more; what serves now goes on serving.
    """
    started = time.monotonic()
    backend, gateway = serving_backend(), Gateway()
    with backend.exclusive(model):
        current, target = gateway.route(model), served_before(gateway.history(model))
        if current is None or target is None:
            raise InvalidRequest(
                f"There is nothing to roll {model} back to: no other version has served before. See its "
                "ledger."
            )
        checks = _bring_back(backend, target)
        _record_switch(gateway, "rollback", target, current, actor, why)
        gateway.put(target, "rollback")
        checks += [_answers(gateway, target, {})]
        _move_champion(gateway, target, actor)
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


# --- decisions: pure functions ------------------------------------------------------------------------------


def require_promotion(version: ModelVersion) -> None:
    """Refuse what the gate did not promote.

    Raises:
        GateRefused: The version names no entry of the ledger in which the gate promoted this very archive.
    """
    entry = entries.find(version.decision_ledger_hash)
    if entry is None:
        found = "the ledger has no such entry"
    elif (entry.action, entry.after) != ("gate", "promote"):
        found = f"that entry says {entry.action} {entry.after or ''}".strip()
    elif (entry.model, *_judged(entry)) != (version.model, version.run_id, version.archive.sha256):
        found = "that entry is about another archive"
    else:
        return
    raise GateRefused(
        f"{version.model} version {version.version} is not served: it says that the ledger's entry "
        f"{version.decision_ledger_hash[:12]}… promoted it, but {found}. Only the train DAG's gate promotes "
        "a version.",
        run_id=version.run_id,
        archive_sha256=version.archive.sha256,
    )


def _judged(entry: LedgerEntry) -> tuple[Any, Any]:
    """The run and the archive that an entry of the gate is about."""
    decision = entry.evidence.get("decision", {})
    return decision.get("run_id"), decision.get("archive_sha256")


def route_of(spec: PipelineSpec, version: ModelVersion) -> Route:
    """The route that sends a model's requests to a version."""
    return Route(
        model=spec.name,
        model_version=version.version,
        run_id=version.run_id,
        backend_version=version.archive.version,
        archive_sha256=version.archive.sha256,
        input_schema=spec.serving.input_schema,
        label_schema=spec.serving.label_schema,
        input_example=spec.serving.input_example,
        timeout_seconds=spec.serving.timeout_seconds,
    )


def served_before(history: list[RouteChange]) -> Route | None:
    """The version that served before the present one: what
    was rolled back from does not count, however new it is.
    """
    served: list[Route] = []
    for change in history:
        route = change.route
        if route is None:
            continue
        if change.change == "rollback" and any(_same(route, earlier) for earlier in served):
            while not _same(served[-1], route):
                served.pop()
        if served and _same(served[-1], route):
            served.pop()
        served.append(route)
    return served[-2] if len(served) > 1 else None


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Where an answer differs from the expected one; numbers
    within `SCORE_TOLERANCE`, everything else exactly.
    """
    wrong = [name for name, value in expected.items() if not _close(value, found.get(name))]
    return [f"{name} is {found.get(name)!r} instead of {expected[name]!r}" for name in wrong]


def _close(expected: Any, found: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=SCORE_TOLERANCE, abs_tol=SCORE_TOLERANCE)
    return bool(expected == found)


def _same(one: Route, other: Route) -> bool:
    return one.archive_sha256 == other.archive_sha256


def _why(version: ModelVersion) -> str:
    """Why a version is switched to: it answers as it was judged, and the gate's own reason."""
    gate = version.tags.get("perennial.why", "the gate promoted it")
    return f"Version {version.version} is loaded and answers its example as it was judged. The gate: {gate}"


# --- the steps of a change ----------------------------------------------------------------------------------


def _bring_up(backend: ServingBackend, archive: Archive, spec: PipelineSpec) -> list[RolloutCheck]:
    """Load an archive and let it answer the example before any user sees it."""
    if not backend.holds(archive.model, archive.version, archive.sha256):
        backend.load(archive, spec.serving)
    check = _smoke(backend, archive, spec)
    backend.keep(archive, spec.serving)
    return [RolloutCheck(check="ready", passed=True, detail=f"{archive.version} is loaded"), check]


def _smoke(backend: ServingBackend, archive: Archive, spec: PipelineSpec) -> RolloutCheck:
    example = spec.serving.input_example
    found = backend.predict(archive.model, archive.version, example, timeout_seconds=SMOKE_SECONDS)
    wrong = differences(archive.example_prediction, found)
    if wrong:
        raise ServingError(
            f"{archive.model} {archive.version} answers its example otherwise than when it was judged: "
            f"{'; '.join(wrong)}. It is not served. Compare the serving environment with the one that "
            "judged it.",
            expected=archive.example_prediction,
            found=found,
        )
    return RolloutCheck(check="smoke test", passed=True, detail=f"answers {found}")


def _bring_back(backend: ServingBackend, target: Route) -> list[RolloutCheck]:
    """See that an earlier version answers; it is usually still loaded, else it is loaded from its archive."""
    if not backend.holds(target.model, target.backend_version, target.archive_sha256):
        version = registry.get_version(target.model, target.model_version)
        require_promotion(version)
        spec = PipelineSpec.load(settings().models / target.model / "pipeline.yaml")
        return _bring_up(backend, version.archive, spec)
    found = backend.predict(
        target.model, target.backend_version, target.input_example, timeout_seconds=SMOKE_SECONDS
    )
    return [RolloutCheck(check="smoke test", passed=True, detail=f"still loaded; answers {found}")]


def _record_switch(
    gateway: Gateway, action: str, target: Route, current: Route | None, actor: str, why: str
) -> None:
    """Write the change of route into the ledger before it takes effect.

    The evidence names the last change of the route, so that a switch which is made twice, with others
    between, is two entries.
    """
    changes = gateway.history(target.model)
    entries.record(
        model=target.model,
        actor=actor,
        action=action,
        before=current.model_version if current else None,
        after=target.model_version,
        why=why,
        evidence={
            "route": target.model_dump(mode="json"),
            "before": current.model_dump(mode="json") if current else None,
            "after_change": changes[-1].sequence if changes else 0,
        },
    )


def _answers(gateway: Gateway, target: Route, expected: dict[str, Any]) -> RolloutCheck:
    """Ask through the gateway, as a user would: the right version has to give the expected answer."""
    run_id, answer = gateway.probe(target.model, target.input_example)
    wrong = differences(expected, answer)
    if run_id != target.run_id or wrong:
        found = f"the run {run_id} instead of {target.run_id}; {'; '.join(wrong)}".rstrip("; ")
        raise ServingError(f"Through the gateway, {target.model} answers otherwise than it should: {found}.")
    return RolloutCheck(check="through the gateway", passed=True, detail=f"run {run_id} answers {answer}")


def _confirm(
    gateway: Gateway, target: Route, current: Route | None, archive: Archive, actor: str
) -> list[RolloutCheck]:
    """See the new version answer through the gateway; where it does not, put the old one back.

    Raises:
        ServingError: It does not answer as judged.
    """
    try:
        return [_answers(gateway, target, archive.example_prediction)]
    except ServingError as error:
        if current is not None and current != target:
            why = f"Version {target.model_version} does not serve: {error}"
            _record_switch(gateway, "rollback", current, target, actor, why)
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


def _move_champion(gateway: Gateway, target: Route, actor: str) -> None:
    """Let the alias `champion` follow what truly serves."""
    champion = registry.champion(target.model)
    if champion is not None and champion.version == target.model_version:
        return
    entries.record(
        model=target.model,
        actor=actor,
        action="champion",
        before=champion.version if champion else None,
        after=target.model_version,
        why=f"Version {target.model_version} answers through the gateway.",
        evidence={
            "route": target.model_dump(mode="json"),
            "before": champion.version if champion else None,
            "route_change": gateway.history(target.model)[-1].sequence,
        },
    )
    registry.set_champion(target.model, target.model_version)
