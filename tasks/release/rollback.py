"""Send a model's requests back to the version that truly served before the present one."""

import time
from typing import Any

from tasks.contracts import Action, LedgerEntry, ModelVersion, RollbackRequest, Rollout, RolloutCheck, Route
from tasks.errors import ArchiveMismatch, DeletedInMlflow, InvalidRequest
from tasks.ledger import entries, precedent
from tasks.release.ab_record import compared_route
from tasks.release.bring_up import bring_up, smoke_test
from tasks.release.close import close_release, finish
from tasks.release.in_environment import Change, carry_out, told_of
from tasks.release.passages import ROLLED_BACK, WITHDRAWN, newest_change
from tasks.release.record import candidate_of
from tasks.release.switch import (
    Decision,
    confirm,
    find_previous_route,
    move_champion,
    never_served,
    same_archive,
    switch,
)
from tasks.release.tag_releases import try_to_tag_releases
from tasks.serving.backend import ServingBackend, exclusive, serving_backend
from tasks.serving.champion import tell_alias
from tasks.serving.environments import gateway_of
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import PRODUCTION, PipelineSpec
from tasks.stores import registry

GONE_BACK = frozenset({ROLLED_BACK, WITHDRAWN})
"""What a rollback in an environment decides."""


def rollback(request: RollbackRequest) -> Rollout:
    """Go back as `roll_back` does; killed anywhere, the same step run again does what is left to do."""
    context = request.context
    if request.environment != PRODUCTION:
        return roll_back_in(request)
    return roll_back(
        request.model, context.actor, request.reason, leaving=request.leaving, step_key=context.step_key
    )


def roll_back(
    model: str, actor: str, why: str, *, leaving: str | None = None, step_key: str | None = None
) -> Rollout:
    """Send a model's requests back to the version that truly served before the present one; where a release
    or a comparison (A/B) is under way, end that alone, unless `leaving` names what serves.

    Args:
        actor: Who decides; the ledger names them.
        why: A sentence; the ledger keeps it.
        leaving: The version that they want to leave; None for whichever serves.
        step_key: Of the step that does it, which goes back once however often it is tried.

    Raises:
        InvalidRequest: No version served before, or another one serves than `leaving`.
        DeletedInMlflow: The registry does not hold the earlier version any more.
        GateRefused: The gate did not promote the earlier version.
        ArchiveMismatch: The registry names another archive than the one that served.
        ServingError: The earlier version does not answer as it was judged; what serves now goes on serving.
    """
    started, gateway = time.monotonic(), Gateway()
    with exclusive(model):
        serving = gateway.route(model)
        gone = _gone_back(serving, step_key)
        if not gone and (ended := _end_release(gateway, model, serving, actor, why, leaving, step_key)):
            return ended
        current, target = gone or _routes_of(gateway, model, serving, leaving)
        decided = Decision(Action.ROLLBACK, actor, why, {"step_key": step_key})
        try:
            target, checks = _go_back(gateway, target, current, serving, decided)
        finally:
            _tell_of_alias(current, target)  # now, so that users do not wait for it
        move_champion(gateway, target, actor)
    try_to_tag_releases(model)
    return _rolled_back(target, current, checks, time.monotonic() - started)


def roll_back_in(request: RollbackRequest) -> Rollout:
    """Send a model's requests in an environment before production back to the version that served there
    before, or, where it is the first, let none serve there. What was left has not passed there any more, so
    that it does not come to production.

    Raises:
        InvalidRequest: There is no such environment, or no version serves there.
        DeletedInMlflow, GateRefused, ArchiveMismatch, ServingError: As `roll_back`.
    """
    started, model = time.monotonic(), request.model
    with exclusive(model):
        current, target, more = _routes_back(request)
        actor, where = request.context.actor, request.environment
        if target is None:
            carry_out(Change(where, model, WITHDRAWN, actor, request.reason, None, current, more), None)
            return _rolled_back(None, current, [], time.monotonic() - started)
        version = version_of(target)
        target = target.model_copy(update={"model_version": version.version})
        checks = make_ready(serving_backend(target.backend), version, target)
        change = Change(where, model, ROLLED_BACK, actor, request.reason, target, current, more)
        checks += carry_out(change, version.archive.example_prediction)
    return _rolled_back(target, current, checks, time.monotonic() - started)


def _rolled_back(target: Route | None, left: Route, checks: list[RolloutCheck], seconds: float) -> Rollout:
    return Rollout(
        model=left.model,
        stable=target,
        previous=left,
        candidate=None,
        traffic_share=1.0,
        checks=tuple(checks),
        verdict="rolled_back" if target else "withdrawn",
        seconds=seconds,
    )


def _routes_back(request: RollbackRequest) -> tuple[Route, Route | None, dict[str, Any]]:
    """What is left, what is gone back to (None where nothing served before), and what the entry keeps beside
    that: as an earlier try of the step decided, where that was the last thing that was decided for the
    environment.
    """
    environment, model = request.environment, request.model
    more: dict[str, Any] = {"step_key": request.context.step_key}
    newest = newest_change(told_of(model), environment)
    if newest and newest.after in GONE_BACK and newest.evidence.get("step_key") == more["step_key"]:
        more["after_change"] = newest.evidence["after_change"]  # one decision, one entry
        to = newest.evidence["route"]
        return Route.model_validate(newest.evidence["before"]), to and Route.model_validate(to), more
    gateway = gateway_of(environment)
    current = gateway.route(model)
    return *_what_serves(gateway, model, current, request.leaving, f" in {environment}"), more


def _end_release(
    gateway: Gateway,
    model: str,
    serving: Route | None,
    actor: str,
    why: str,
    leaving: str | None,
    step_key: str | None,
) -> Rollout | None:
    """End the release that is under way, which leaves its candidate; what serves goes on serving, unless it
    is to be left itself.

    Returns:
        What serves; None where nothing is under way, or what serves is to be left, too: as the candidate is
        whose promotion has switched the route and not come to its end.
    """
    started = time.monotonic()
    told = [
        each
        for each in entries.history(model, {Action.RELEASE, Action.AB})
        if each.after in {"closed", "stopped"}
    ]
    mine = next((each for each in told if step_key and each.evidence.get("step_key") == step_key), None)
    if mine:
        finish(gateway, mine)
    else:
        _require_meant(gateway, model, serving, leaving)
    entry = mine or close_release(gateway, model, actor, why, step_key)
    if entry is None or serving is None or leaving == serving.model_version:
        return None
    candidate = _candidate_of(entry)
    if same_archive(candidate, serving):
        return None
    check = RolloutCheck(check="release", passed=True, detail=f"entry {entry.sequence} ended it")
    return Rollout(
        model=model,
        stable=serving,
        previous=find_previous_route(gateway.history(model)),
        candidate=candidate,
        traffic_share=0.0,
        checks=(check,),
        verdict="kept_previous",
        seconds=time.monotonic() - started,
    )


def _require_meant(gateway: Gateway, model: str, serving: Route | None, leaving: str | None) -> None:
    """Refuse to end what is under way for a version that takes no part in it."""
    split = gateway.split(model)
    candidate = candidate_of(model) or compared_route(model) or (split.candidate if split else None)
    if candidate is None or leaving in {None, candidate.model_version, serving and serving.model_version}:
        return
    serves = f"version {serving.model_version} serves" if serving else "no version serves"
    raise InvalidRequest(
        f"{model} is not rolled back: version {leaving} was to be left, but {serves} now, and version "
        f"{candidate.model_version} is released or compared with it. Look again at what serves."
    )


def _candidate_of(entry: LedgerEntry) -> Route:
    held = entry.evidence["comparison"] if entry.action == Action.AB else entry.evidence
    return Route.model_validate(held["candidate"])


def bring_back(
    gateway: Gateway, target: Route, current: Route | None, decided: Decision
) -> tuple[Route, list[RolloutCheck]]:
    """Let a version serve that served before, or was decided to, from the backend that it served from; the
    caller holds the model's versions.

    Returns:
        The route by the version's present number, and what was checked.

    Raises:
        DeletedInMlflow, GateRefused, ArchiveMismatch, ServingError: As `roll_back`.
    """
    target, checks = _go_back(gateway, target, current, gateway.route(target.model), decided)
    move_champion(gateway, target, decided.actor)
    return target, checks


def _go_back(
    gateway: Gateway, target: Route, current: Route | None, serving: Route | None, decided: Decision
) -> tuple[Route, list[RolloutCheck]]:
    version = version_of(target)
    target = target.model_copy(update={"model_version": version.version})
    checks = make_ready(serving_backend(target.backend), version, target)
    if serving != target:
        switch(gateway, target.model, target, current, decided)
    expected = version.archive.example_prediction
    checks.append(confirm(gateway, target, current, expected, decided.actor))
    return target, checks


def _gone_back(serving: Route | None, step_key: str | None) -> tuple[Route, Route] | None:
    """What an earlier try of the step left, and what it went back to; None where that does not serve."""
    if step_key is None or serving is None:
        return None
    for entry in reversed(entries.history(serving.model, {Action.ROLLBACK})):
        if entry.evidence.get("step_key") == step_key:
            target = Route.model_validate(entry.evidence["route"])
            return (Route.model_validate(entry.evidence["before"]), serving) if target == serving else None
    return None


def _tell_of_alias(left: Route, target: Route) -> None:
    """Print what is to be said of the alias as it is before it is moved; not where it was moved already."""
    try:
        if registry.aliased_version(left.model) != target.model_version:
            tell_alias(left)
    except DeletedInMlflow as error:  # of what is left
        print(error, flush=True)


def _routes_of(
    gateway: Gateway, model: str, current: Route | None, leaving: str | None
) -> tuple[Route, Route]:
    """What serves in production, and what truly served before it."""
    serving, target = _what_serves(gateway, model, current, leaving, "")
    if target is None:
        raise InvalidRequest(
            f"There is nothing to roll {model} back to: before version {serving.model_version} there is "
            "none. What a rollback left or a withdrawal took away does not count. Its ledger has what served "
            f"when. Train or release a better one; for none to serve, remove models/{model} and say: "
            f'perennial withdraw {model} --why "...".'
        )
    return serving, target


def _what_serves(
    gateway: Gateway, model: str, current: Route | None, leaving: str | None, there: str
) -> tuple[Route, Route | None]:
    """What serves, and what truly served before it; None where nothing did.

    Args:
        there: The environment in words; empty for production.
    """
    history = gateway.history(model)
    if not history:
        raise never_served(model)
    serving = current.model_version if current else None
    if leaving is not None and serving != leaving:
        raise InvalidRequest(
            f"{model} is not rolled back: version {leaving} was to be left, but version {serving} serves"
            f"{there} now. Look again at what serves."
        )
    if current is None:
        raise InvalidRequest(f"{model} is not rolled back: no version of it serves{there}. Start a training.")
    return current, find_previous_route(history)


def version_of(target: Route) -> ModelVersion:
    """What the registry holds of the run that served: registered again after it was deleted, it has another
    number.
    """
    version = registry.find_version(target.model, target.run_id)
    if version is None:
        raise DeletedInMlflow(
            f"{target.model} is not rolled back: version {target.model_version} served before, of the MLflow "
            f"run {target.run_id}, but MLflow's registry does not hold it any more. Bring back a backup of "
            "MLflow's database, or train a new version.",
            model_version=target.model_version,
            run_id=target.run_id,
        )
    precedent.promotion_of_version(version)
    if version.archive.sha256 != target.archive_sha256:
        raise ArchiveMismatch(
            f"{target.model} is not rolled back: the archive {target.archive_sha256} of run {target.run_id} "
            f"served before, but the registry names {version.archive.sha256}: its tags were changed. Set the "
            f"version's tag {registry.ARCHIVE} back, or train a new version.",
            found=version.archive.sha256,
            served=target.archive_sha256,
        )
    return version


KEPT_BY_ROUTES = (
    "backend",
    "input_schema",
    "label_schema",
    "input_example",
    "timeout_seconds",
    "batch_size",
    "workers",
)
"""The settings of serving that a route keeps."""


def make_ready(backend: ServingBackend, version: ModelVersion, target: Route) -> list[RolloutCheck]:
    """See that it answers as it was judged: it is usually still loaded, else its archive is, with the schemas
    and the limits that it served with: pipeline.yaml may say those of a later version.
    """
    if backend.ready(target.model, target.backend_version, target.archive_sha256):
        return [smoke_test(backend, version.archive, target.input_example)]
    spec = PipelineSpec.load(settings().models / target.model / "pipeline.yaml")
    then = {name: getattr(target, name) for name in KEPT_BY_ROUTES}
    serving = spec.serving.model_copy(update=then)
    return bring_up(
        backend, version.archive, spec.model_copy(update={"serving": serving}), target.input_example
    )
