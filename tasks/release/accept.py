"""Bring a version up beside what serves and see that it is, deployed, what the gate judged.

No user meets it here: the gateway's route stays as it is. What it shows is in the ledger before the first
stage begins; a version that fails is unloaded again, and what served goes on serving.
"""

import hashlib
from collections.abc import Callable

from tasks.contracts import (
    Acceptance,
    AcceptRequest,
    Action,
    ModelVersion,
    RolloutCheck,
    Route,
    TrainingRun,
)
from tasks.errors import CheckFailed, NothingToDo, PerennialError, ServingError
from tasks.gate.replay import require_replay
from tasks.ledger import entries, precedent
from tasks.release.acceptance import acceptance_checks
from tasks.release.bring_up import bring_up
from tasks.release.close import close_own_split
from tasks.release.enter import environments_of, require_passed
from tasks.release.in_environment import in_use
from tasks.release.record import of_release, record, require_alone, until
from tasks.release.stages import plan
from tasks.release.states import SWITCHES, route_by
from tasks.release.switch import example_of, find_previous_route, route_of, same_archive
from tasks.serving.backend import exclusive, serving_backend, versions_of
from tasks.serving.gateway import Gateway
from tasks.spec import PRODUCTION, PipelineSpec
from tasks.stores import registry


def accept(request: AcceptRequest) -> Acceptance:
    """Accept `request.version` for its release, or refuse it; killed anywhere, the step may be run again.

    Raises:
        GateRefused: The gate did not promote this archive, its decision cannot be replayed, or it has not
            passed through the environments before production.
        NothingToDo: The version serves already.
        InvalidRequest: Another release of the model, or a comparison (A/B), is under way.
        CheckFailed: Deployed, it is not what was judged, or does not bear the load.
        ServingError: It does not load, or answers its example otherwise than when it was judged; or the
            gateway has lost what serves.
    """
    spec, release_id = request.spec, release_id_of(request)
    version = registry.get_version(spec.name, request.version)
    require_replay(precedent.promotion_of_version(version))
    with exclusive(spec.name):
        require_passed(version, environments_of(spec))
        require_alone(spec.name, release_id)
        candidate, stable = route_of(spec, version), _serving(spec.name)
        if stable is not None and same_archive(stable, candidate):
            raise NothingToDo(f"Version {version.version} of {spec.name} serves already.")
        run = registry.training_run(version.run_id)
        checks = _checked(request, version, run, stable)
        return _accepted(request, version, run, stable, checks)


def release_id_of(request: AcceptRequest) -> str:
    """The same for every try of one release."""
    of_run = hashlib.sha256(f"{request.context.run_key} {request.version}".encode()).hexdigest()
    return f"{request.spec.name}-{request.version}-{of_run[:12]}"


def _serving(model: str) -> Route | None:
    """What serves. A gateway that has just lost its routes makes no version the first, which meets its users
    without stages.

    Raises:
        ServingError: The gateway serves nothing, but by the ledger something serves.
    """
    route = Gateway().route(model)
    told = route_by(entries.history(model, {Action.RECONCILE, *SWITCHES}))
    if route is None and told is not None:
        raise ServingError(
            f"The gateway serves no version of {model}, but by the ledger version {told.model_version} serves. "
            "Nothing is released until the DAG reconcile_ledger has brought it back, within a minute; then clear "
            "this task."
        )
    return route


def _checked(
    request: AcceptRequest, version: ModelVersion, run: TrainingRun, stable: Route | None
) -> tuple[RolloutCheck, ...]:
    def refuse(error: PerennialError) -> None:
        _refuse(request, version, stable, error)

    return passed_checks(request.spec, version, run, stable, refuse)


def passed_checks(
    spec: PipelineSpec,
    version: ModelVersion,
    run: TrainingRun,
    stable: Route | None,
    refuse: Callable[[PerennialError], None] = lambda _: None,
) -> tuple[RolloutCheck, ...]:
    """Load a version beside what serves and let it show what it has to; one that does not is unloaded again.

    Args:
        refuse: Called with what is wrong before it is unloaded.

    Raises:
        CheckFailed, ServingError: As `accept`.
    """
    archive, backend = version.archive, serving_backend(spec.serving.backend)
    try:
        checks = bring_up(backend, archive, spec, example_of(version, spec))
        return (*checks, *acceptance_checks(backend, archive, run, spec))
    except (CheckFailed, ServingError) as error:
        refuse(error)
        kept = [stable, find_previous_route(Gateway().history(spec.name)), *in_use(spec.name)]
        backend.retire(spec.name, versions_of(kept).get(spec.serving.backend, set()))
        raise


def _refuse(
    request: AcceptRequest, version: ModelVersion, stable: Route | None, error: PerennialError
) -> None:
    entry = record(
        release_id=release_id_of(request),
        stable=stable,
        candidate=route_of(request.spec, version),
        actor=request.context.actor,
        after="refused",
        at="acceptance",
        why=f"Version {version.version} is not released: {error}",
        fault=error.evidence,
    )
    # Run again during a stage, the candidate may be answering users: not any more before it is unloaded.
    close_own_split(Gateway(), request.spec.name, entry.evidence["release_id"])
    entries.complete(entry, "It is unloaded; what served goes on serving.")


def _accepted(
    request: AcceptRequest,
    version: ModelVersion,
    run: TrainingRun,
    stable: Route | None,
    checks: tuple[RolloutCheck, ...],
) -> Acceptance:
    spec, release_id, names = request.spec, release_id_of(request), tuple(plan(request.spec.release))
    candidate, names = route_of(spec, version), names if stable else ()
    said = request.reason.strip() or version.tags.get("perennial.why", "the gate promoted it")
    why = f"Deployed, version {version.version} passed {len(checks)} checks. It is released: {said}"
    told = of_release(spec.name, release_id, "accepted")
    entry = (
        told[0]
        if told
        else record(
            release_id=release_id,
            stable=stable,
            candidate=candidate,
            actor=request.context.actor,
            after="accepted",
            at="accepted",
            until=until(spec.release, names[0] if names else PRODUCTION),
            why=why,
            checks=[check.model_dump(mode="json") for check in checks],
            plan=list(names),
        )
    )
    return Acceptance(
        release_id=release_id,
        model=spec.name,
        version=version,
        run=run,
        stable=stable,
        candidate=candidate,
        plan=names,
        checks=checks,
        why=entry.why,
        ledger_hash=entry.entry_hash,
    )
