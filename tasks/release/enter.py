"""Let a version serve in an environment before production, once it has shown there what it has to.

The archive is the one that the gate judged, by its sha256, in every environment: nothing is built again in
between. An environment is entered in its turn: what has not passed the ones before is refused.
"""

from tasks.contracts import EnterRequest, ModelVersion, Passage, RolloutCheck, Route
from tasks.errors import CheckFailed, GateRefused, InvalidRequest, PerennialError, ServingError
from tasks.gate.replay import require_replay
from tasks.ledger import entries, precedent
from tasks.release.acceptance import acceptance_checks
from tasks.release.bring_up import bring_up
from tasks.release.in_environment import Change, carry_out, record, retire_unused, told_of
from tasks.release.passages import ENTERED, not_passed, passed
from tasks.release.switch import example_of, find_previous_route, route_of, same_archive
from tasks.serving.backend import exclusive, serving_backend
from tasks.serving.environments import gateway_of
from tasks.spec import PRODUCTION, PipelineSpec
from tasks.stores import registry


def enter(request: EnterRequest) -> Passage:
    """Accept `request.version` in an environment and let it serve there; killed anywhere, the step may be run
    again. A version that has passed and serves there still is not tried again.

    Raises:
        InvalidRequest: The specification or the platform has no such environment.
        GateRefused: The gate did not promote this archive, its decision cannot be replayed, or the version
            has not passed through the environments before.
        CheckFailed: Deployed, it is not what was judged, or does not bear the load.
        ServingError: It does not load, or does not answer in the environment as it was judged.
    """
    spec, environment = request.spec, request.environment
    version = registry.get_version(spec.name, request.version)
    require_replay(precedent.promotion_of_version(version))
    gateway, before = gateway_of(environment), _names_before(spec, environment)
    with exclusive(spec.name):
        require_passed(version, before)
        target, current = route_of(spec, version), gateway.route(spec.name)
        same = current is not None and same_archive(current, target)
        previous = find_previous_route(gateway.history(spec.name)) if same else current
        earlier = passed(told_of(spec.name), environment, target.archive_sha256)
        if not (same and earlier):
            return _let_in(request, version, target, previous)
        return Passage(
            model=spec.name,
            environment=environment,
            route=target,
            previous=previous,
            checks=(),
            verdict="already_there",
            why=earlier.why,
            ledger_hash=earlier.entry_hash,
        )


def require_passed(version: ModelVersion, names: list[str]) -> None:
    """Refuse a version whose archive has not passed through these environments.

    Raises:
        GateRefused: It names those that are missing.
    """
    missing = not_passed(told_of(version.model), names, version.archive.sha256) if names else []
    if missing:
        raise GateRefused(
            f"Version {version.version} of {version.model} has not passed through {', '.join(missing)}, or "
            "was rolled back there. Bring it there first: perennial release "
            f"{version.model} {version.version} --environment {missing[0]}.",
            missing=missing,
            archive_sha256=version.archive.sha256,
        )


def environments_of(spec: PipelineSpec) -> list[str]:
    """The environments that a version passes through before production, in order."""
    return [each.name for each in spec.release.environments]


def _names_before(spec: PipelineSpec, environment: str) -> list[str]:
    names = environments_of(spec)
    if environment not in names:
        raise InvalidRequest(
            f"A version of {spec.name} does not pass through {environment!r}: release.environments of its "
            f"pipeline.yaml has {', '.join([*names, PRODUCTION])}."
        )
    return names[: names.index(environment)]


def _let_in(request: EnterRequest, version: ModelVersion, target: Route, previous: Route | None) -> Passage:
    spec, environment = request.spec, request.environment
    try:
        checks = _checked(spec, environment, version)
        change = _change(request, version, target, previous, checks)
        checks += carry_out(change, version.archive.example_prediction)
    except (CheckFailed, ServingError) as error:
        _refuse(request, version, target, error)
        raise
    retire_unused(spec.name, environment)
    entry = passed(told_of(spec.name), environment, target.archive_sha256)
    return Passage(
        model=spec.name,
        environment=environment,
        route=target,
        previous=previous,
        checks=tuple(checks),
        verdict="entered",
        why=change.why,
        ledger_hash=entry.entry_hash if entry else "",
    )


def _checked(spec: PipelineSpec, environment: str, version: ModelVersion) -> list[RolloutCheck]:
    """What the version shows where it is deployed, by the environment's own limits."""
    rules = spec.release.model_copy(update={"acceptance": spec.release.acceptance_in(environment)})
    there = spec.model_copy(update={"release": rules})
    backend, run = serving_backend(spec.serving.backend), registry.training_run(version.run_id)
    checks = bring_up(backend, version.archive, there, example_of(version, there))
    return [*checks, *acceptance_checks(backend, version.archive, run, there)]


def _change(
    request: EnterRequest,
    version: ModelVersion,
    target: Route,
    previous: Route | None,
    checks: list[RolloutCheck],
) -> Change:
    said = request.reason.strip() or version.tags.get("perennial.why", "the gate promoted it")
    return Change(
        environment=request.environment,
        model=version.model,
        after=ENTERED,
        actor=request.context.actor,
        why=f"In {request.environment}, version {version.version} passed {len(checks)} checks. It serves "
        f"there: {said}",
        target=target,
        before=previous,
        more={
            "checks": [check.model_dump(mode="json") for check in checks],
            "acceptance": request.spec.release.acceptance_in(request.environment).model_dump(mode="json"),
        },
    )


def _refuse(request: EnterRequest, version: ModelVersion, target: Route, error: PerennialError) -> None:
    """Write down that the version does not pass; what it does not serve in any more is unloaded."""
    environment = request.environment
    refused = Change(
        environment=environment,
        model=version.model,
        after="refused",
        actor=request.context.actor,
        why=f"Version {version.version} does not pass {environment}: {error}",
        target=target,
        before=gateway_of(environment).route(version.model),
        more={"fault": error.evidence},
    )
    entry = record(refused, gateway_of(environment))
    retire_unused(version.model, environment)
    entries.complete(entry, f"What served in {environment} goes on serving.")
