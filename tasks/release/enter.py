"""Let a version serve in an environment before production, once it has shown there what it has to.

The archive is the one that the gate judged, by its sha256, in every environment: nothing is built again in
between. An environment is entered in its turn: what has not passed the ones before is refused.
"""

from contextlib import AbstractContextManager

from tasks.contracts import EnterRequest, ModelVersion, Passage, RolloutCheck, Route
from tasks.errors import InvalidRequest, PerennialError, ServingError
from tasks.gate.replay import require_replay
from tasks.ledger import entries, precedent
from tasks.release.accept import passed_checks
from tasks.release.in_environment import (
    Change,
    carry_out,
    environments_of,
    record,
    require_passed,
    retire_unused,
    told_of,
)
from tasks.release.passages import ENTERED, passed
from tasks.release.switch import find_previous_route, route_of, same_archive
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
    version = registry.named_version(spec.name, request.version)
    require_replay(precedent.promotion_of_version(version))
    gateway_of(environment)
    _names_before(spec, environment)
    with exclusive(spec.name):
        if there := _there(request, version):
            return there
    with _checked(request, version) as checks:
        return _there(request, version) or _let_in(request, version, checks)


def _there(request: EnterRequest, version: ModelVersion) -> Passage | None:
    """The passage of a version that has passed and serves there still; None where it has to enter.

    Raises:
        GateRefused: It has not passed through the environments before.
    """
    spec, environment = request.spec, request.environment
    require_passed(version, _names_before(spec, environment))
    target, gateway = route_of(spec, version), gateway_of(environment)
    current = gateway.route(spec.name)
    earlier = passed(told_of(spec.name), environment, target.archive_sha256)
    if current is None or earlier is None or _differs(current, target, request.spec, version):
        return None
    return Passage(
        model=spec.name,
        environment=environment,
        route=target,
        previous=find_previous_route(gateway.history(spec.name)),
        checks=(),
        verdict="already_there",
        why=earlier.why,
        ledger_hash=earlier.entry_hash,
    )


def _differs(current: Route, target: Route, spec: PipelineSpec, version: ModelVersion) -> bool:
    """Whether another archive serves, or this one with other settings than those of pipeline.yaml."""
    fits = serving_backend(spec.serving.backend).fits(version.archive, spec.serving)
    return current != target or not fits


def _names_before(spec: PipelineSpec, environment: str) -> list[str]:
    names = environments_of(spec)
    if environment not in names:
        raise InvalidRequest(
            f"A version of {spec.name} does not pass through {environment!r}: release.environments of its "
            f"pipeline.yaml has {', '.join([*names, PRODUCTION])}."
        )
    return names[: names.index(environment)]


def _let_in(request: EnterRequest, version: ModelVersion, checks: tuple[RolloutCheck, ...]) -> Passage:
    spec, environment = request.spec, request.environment
    target, gateway = route_of(spec, version), gateway_of(environment)
    current = gateway.route(spec.name)
    same = current is not None and same_archive(current, target)
    previous = find_previous_route(gateway.history(spec.name)) if same else current
    change = _change(request, version, target, previous, checks)
    try:
        checks += tuple(carry_out(change, version.archive.example_prediction))
    except ServingError as error:
        _refuse(request, version, error)
        raise
    finally:
        retire_unused(spec.name, environment)
    entry = passed(told_of(spec.name), environment, target.archive_sha256)
    return Passage(
        model=spec.name,
        environment=environment,
        route=target,
        previous=previous,
        checks=checks,
        verdict="entered",
        why=change.why,
        ledger_hash=entry.entry_hash if entry else "",
    )


def _checked(
    request: EnterRequest, version: ModelVersion
) -> AbstractContextManager[tuple[RolloutCheck, ...]]:
    """What the version shows where it is deployed, by the environment's own limits."""
    spec, environment = request.spec, request.environment
    rules = spec.release.model_copy(update={"acceptance": spec.release.acceptance_in(environment)})
    there = spec.model_copy(update={"release": rules})
    run = registry.training_run(version.run_id)
    return passed_checks(there, version, run, lambda error: _refuse(request, version, error), environment)


def _change(
    request: EnterRequest,
    version: ModelVersion,
    target: Route,
    previous: Route | None,
    checks: tuple[RolloutCheck, ...],
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


def _refuse(request: EnterRequest, version: ModelVersion, error: PerennialError) -> None:
    """Write down that the version does not pass."""
    environment = request.environment
    refused = Change(
        environment=environment,
        model=version.model,
        after="refused",
        actor=request.context.actor,
        why=f"Version {version.version} does not pass {environment}: {error}",
        target=route_of(request.spec, version),
        before=gateway_of(environment).route(version.model),
        more={"fault": error.evidence},
    )
    entry = record(refused, gateway_of(environment))
    entries.complete(entry, f"What served in {environment} goes on serving.")
