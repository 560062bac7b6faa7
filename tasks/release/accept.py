"""Bring a version up beside what serves and see that it is, deployed, what the gate judged.

No user meets it here: the gateway's route stays as it is; where a person is asked next, it answers testers,
who name it, meanwhile. What it shows is in the ledger before the first stage begins; a version that fails is
unloaded again, and what served goes on serving.
"""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from tasks.contracts import (
    Acceptance,
    AcceptRequest,
    Action,
    LedgerEntry,
    ModelVersion,
    RolloutCheck,
    Route,
    TrainingRun,
)
from tasks.errors import GateRefused, NothingToDo, PerennialError, ServingError
from tasks.gate.replay import require_replay
from tasks.ledger import entries, precedent
from tasks.release.acceptance import acceptance_checks
from tasks.release.bring_up import bring_up
from tasks.release.close import close_own_split
from tasks.release.deploy import require_still_promised
from tasks.release.in_environment import environments_of, require_passed
from tasks.release.record import of_release, record, require_alone, until
from tasks.release.settings_move import changed_settings
from tasks.release.stages import plan
from tasks.release.states import SWITCHES, is_asked_for, other_release, route_by
from tasks.release.switch import example_of, route_of, same_archive
from tasks.release.testers import let_testers_in_after
from tasks.release.tried import tried
from tasks.serving.backend import exclusive, serving_backend
from tasks.serving.gateway import Gateway
from tasks.spec import PRODUCTION, PipelineSpec
from tasks.stores import registry

ACCEPTED, REFUSED = "accepted", "refused"


def accept(request: AcceptRequest) -> Acceptance:
    """Accept `request.version` for its release, or refuse it; killed anywhere, the step may be run again.

    Raises:
        GateRefused: The gate did not promote this archive, its decision cannot be replayed, or it has not
            passed through the environments before production; or no person asked for it, and since it was
            promoted it was left, released already, or another version came to serve.
        NothingToDo: The version serves already, with the settings of pipeline.yaml.
        InvalidRequest: Another release of the model, or a comparison (A/B), is under way.
        CheckFailed: Deployed, it is not what was judged, or does not bear the load.
        ServingError: It does not load, or answers its example otherwise than when it was judged; or the
            gateway has lost what serves.
    """
    spec = request.spec
    version = registry.named_version(spec.name, request.version)
    promotion = precedent.promotion_of_version(version)
    require_replay(promotion)
    with exclusive(spec.name):
        stable = _beside(request, version, promotion)
    run = registry.training_run(version.run_id)
    if stable is not None and stable.backend == spec.serving.backend and _serves(stable, spec, version):
        # A load test would be one of what answers users: it gets the settings with the promotion.
        return _accepted(request, version, run, stable, ())
    with passed_checks(spec, version, run, lambda error: _refuse(request, version, error)) as checks:
        accepted = _accepted(request, version, run, _beside(request, version, promotion), checks)
        let_testers_in_after(Gateway(), accepted, spec.release)
        return accepted


def _beside(request: AcceptRequest, version: ModelVersion, promotion: LedgerEntry) -> Route | None:
    """What serves, where the version may be released beside it: it may have changed while that was tested."""
    spec = request.spec
    require_passed(version, environments_of(spec))
    require_alone(spec.name, release_id_of(request))
    stable = _serving(spec.name)
    if stable is not None and _serves(stable, spec, version) and not _may_change(request, stable, version):
        raise NothingToDo(
            f"Version {version.version} of {spec.name} serves already, with the settings of pipeline.yaml."
        )
    _require_still_wanted(request, version, promotion)
    return stable


def _serves(stable: Route, spec: PipelineSpec, version: ModelVersion) -> bool:
    return same_archive(stable, route_of(spec, version))


def _may_change(request: AcceptRequest, stable: Route, version: ModelVersion) -> bool:
    """Whether a release of what serves gives it other settings: a person asked for it."""
    spec = request.spec
    is_it = stable.model_version == version.version and spec.release.mode != "shadow_only"
    return is_it and not request.by_itself and bool(_changes(stable, spec, version))


def _changes(stable: Route, spec: PipelineSpec, version: ModelVersion) -> tuple[str, ...]:
    fits = serving_backend(spec.serving.backend).fits(version.archive, spec.serving)
    return changed_settings(stable, route_of(spec, version), fits=fits)


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
            f"The gateway serves no version of {model}, but by the ledger version {told.model_version} "
            "serves. Nothing is released until the DAG reconcile_ledger has brought it back, within a "
            "minute; then clear this task."
        )
    return route


def _require_still_wanted(request: AcceptRequest, version: ModelVersion, promotion: LedgerEntry) -> None:
    """Refuse what no person asked for and what was decided since its promotion has overtaken, because its run
    waited for hours.
    """
    told = entries.history(version.model, {Action.RELEASE, Action.RECONCILE})
    if not request.by_itself or is_asked_for(told, version.version):
        return
    try:
        require_still_promised(promotion, version)
        _require_not_begun(other_release(told, promotion, release_id_of(request)), version)
    except GateRefused as error:
        _refuse(request, version, error)
        raise


def _require_not_begun(before: LedgerEntry | None, version: ModelVersion) -> None:
    if before is not None:
        raise GateRefused(
            f"{version.model} version {version.version} was released before (entry {before.sequence} of the "
            "ledger), and once more only a person releases it: perennial release "
            f"{version.model} {version.version}.",
            entry=before.entry_hash,
        )


def passed_checks(
    spec: PipelineSpec,
    version: ModelVersion,
    run: TrainingRun,
    refuse: Callable[[PerennialError], None] = lambda _: None,
    environment: str = PRODUCTION,
) -> AbstractContextManager[tuple[RolloutCheck, ...]]:
    """Load a version beside what serves and let it show what it has to; see `tried`."""
    return tried(route_of(spec, version), lambda: _shown(spec, version, run), refuse, environment)


def _shown(spec: PipelineSpec, version: ModelVersion, run: TrainingRun) -> tuple[RolloutCheck, ...]:
    archive, backend = version.archive, serving_backend(spec.serving.backend)
    checks = bring_up(backend, archive, spec, example_of(version, spec))
    return (*checks, *acceptance_checks(backend, archive, run, spec))


def _refuse(request: AcceptRequest, version: ModelVersion, error: PerennialError) -> None:
    gateway, release_id = Gateway(), release_id_of(request)
    entry = record(
        release_id=release_id,
        stable=gateway.route(request.spec.name),
        candidate=route_of(request.spec, version),
        actor=request.context.actor,
        after=REFUSED,
        at="acceptance",
        why=f"Version {version.version} is not released: {error}",
        fault=error.evidence,
    )
    # Run again during a stage, the candidate may be answering users: not any more before it is unloaded.
    close_own_split(gateway, request.spec.name, release_id)
    entries.complete(entry, "It meets nobody; what served goes on serving.")


def _accepted(
    request: AcceptRequest,
    version: ModelVersion,
    run: TrainingRun,
    stable: Route | None,
    checks: tuple[RolloutCheck, ...],
) -> Acceptance:
    spec, release_id, candidate = request.spec, release_id_of(request), route_of(request.spec, version)
    changes = _changes(stable, spec, version) if stable and same_archive(stable, candidate) else ()
    names = () if stable is None or changes else tuple(plan(spec.release))
    told = of_release(spec.name, release_id)
    accepted = [] if told and told[-1].after == REFUSED else [each for each in told if each.after == ACCEPTED]
    entry = (
        accepted[-1]
        if accepted
        else record(
            release_id=release_id,
            stable=stable,
            candidate=candidate,
            actor=request.context.actor,
            after=ACCEPTED,
            at="accepted",
            until=until(spec.release, names[0] if names else PRODUCTION),
            why=_why(request, version, checks, changes),
            checks=[check.model_dump(mode="json") for check in checks],
            plan=list(names),
            settings=list(changes),
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


def _why(
    request: AcceptRequest, version: ModelVersion, checks: tuple[RolloutCheck, ...], changes: tuple[str, ...]
) -> str:
    asked = request.reason.strip()
    if changes:
        tried = f" Loaded there, it passed {len(checks)} checks." if checks else ""
        return (
            f"Version {version.version} serves and gets the settings of pipeline.yaml, without stages: "
            f"{'; '.join(changes)}.{tried} {asked}"
        ).rstrip()
    said = asked or version.tags.get("perennial.why", "the gate promoted it")
    return f"Deployed, version {version.version} passed {len(checks)} checks. It is released: {said}"
