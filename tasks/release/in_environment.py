"""Change what serves in an environment before production: written down first, seen to work, and then told.

Production's own entries (`deploy`, `rollback`, `champion`) never speak of another environment, and those here
never of production: whoever reads one kind cannot take it for the other.
"""

from dataclasses import dataclass, field
from typing import Any

from tasks.contracts import Action, LedgerEntry, ModelVersion, RolloutCheck, Route
from tasks.errors import GateRefused, ServingError
from tasks.ledger import entries
from tasks.release.ab_record import compared_route
from tasks.release.on_trial import routes_on_trial
from tasks.release.passages import LEFT, held, not_passed
from tasks.release.record import candidate_of
from tasks.release.switch import find_previous_route, last_change, require_answer
from tasks.serving.backend import retire_all_but, versions_of
from tasks.serving.environments import addresses, gateway_of
from tasks.serving.gateway import Gateway
from tasks.spec import PipelineSpec
from tasks.stores import registry


@dataclass(frozen=True)
class Change:
    """A decision of what serves in an environment.

    Attributes:
        after: What is decided, one of `passages.CHANGES`.
        more: Kept in the entry's evidence.
    """

    environment: str
    model: str
    after: str
    actor: str
    why: str
    target: Route | None
    before: Route | None
    more: dict[str, Any] = field(default_factory=dict)


def told_of(model: str) -> list[LedgerEntry]:
    """What the ledger has of a model's environments, oldest first."""
    return entries.history(model, {Action.ENVIRONMENT, Action.DONE})


def in_use(model: str) -> list[Route]:
    """The versions that must stay loaded for environments before production, and those that are tested now;
    the caller holds the model's versions.

    Of environments the ledger says it, not their gateways: production waits for none of them.
    """
    known = addresses()
    return [*routes_on_trial(model), *(held(told_of(model), known) if known else [])]


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


def carry_out(change: Change, expected: dict[str, Any] | None) -> list[RolloutCheck]:
    """Write a change down, make it, see it work, let the environment's alias follow, and write that down.

    Args:
        expected: What the version answers to its example; None where nothing is to serve.

    Raises:
        ServingError: The version does not answer there as it was judged: what served before serves again.
    """
    gateway = gateway_of(change.environment)
    entry = record(change, gateway)
    _put(gateway, change)
    checks = [] if expected is None else [confirmed(gateway, change, expected)]
    tell_alias(change.model, change.environment, change.target)
    entries.complete(entry, f"The gateway of {change.environment} has the route, and the alias follows it.")
    return checks


def record(change: Change, gateway: Gateway) -> LedgerEntry:
    """Write a decision down; it has taken no effect yet."""
    return entries.record(
        model=change.model,
        actor=change.actor,
        action=Action.ENVIRONMENT,
        before=change.before.model_version if change.before else None,
        after=change.after,
        why=change.why,
        evidence={
            "environment": change.environment,
            "route": _plain(change.target),
            "before": _plain(change.before),
            "after_change": last_change(gateway, change.model),
            **change.more,
        },
    )


def tell_alias(model: str, environment: str, route: Route | None) -> None:
    """Let the alias that has the environment's name follow what serves there."""
    aliased = registry.aliased_version(model, environment)
    wanted = route.model_version if route else None
    if wanted is not None and aliased != wanted:
        registry.set_alias(model, environment, wanted)
    elif wanted is None and aliased is not None:
        registry.remove_alias(model, environment)


def retire_unused(model: str, environment: str) -> None:
    """Unload what neither production nor an environment sends requests to, or would go back to; the caller
    holds the model's versions.
    """
    production, here = Gateway(), gateway_of(environment)
    previous = find_previous_route(production.history(model))
    beside = (candidate_of(model), compared_route(model), *in_use(model))
    kept = versions_of([production.route(model), previous, *beside])
    busy = {*production.in_flight(model), *here.in_flight(model)}
    retire_all_but(model, kept, busy)


def confirmed(gateway: Gateway, change: Change, expected: dict[str, Any]) -> RolloutCheck:
    """See the version answer in the environment.

    Raises:
        ServingError: It does not, as it was judged: what served before serves again, and the ledger says so.
    """
    if change.target is None:
        raise ValueError("nothing can be expected of no version")
    try:
        return require_answer(gateway, change.target, expected)
    except ServingError as error:
        why = f"Version {change.target.model_version} does not serve in {change.environment}: {error}"
        back = Change(change.environment, change.model, LEFT, change.actor, why, change.before, change.target)
        undone = record(back, gateway)
        _put(gateway, back)
        entries.complete(undone, "What served before serves again.")
        raise


def _put(gateway: Gateway, change: Change) -> None:
    if change.target is None:
        gateway.withdraw(change.model)
    elif gateway.route(change.model) != change.target:
        gateway.put(change.target, "deploy" if change.after == "entered" else "rollback")


def _plain(route: Route | None) -> dict[str, Any] | None:
    return route.model_dump(mode="json") if route else None
