"""The change of a route: what it is, how it is written down first, and how it is seen to have worked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.contracts import Action, ModelVersion, RolloutCheck, Route
from tasks.errors import InvalidRequest, ServingError
from tasks.ledger import entries
from tasks.release.differences import differences
from tasks.serving.gateway import Gateway, RouteChange
from tasks.spec import PipelineSpec
from tasks.stores import registry


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
        input_example=example_of(version, spec),
        timeout_seconds=spec.serving.timeout_seconds,
        backend=spec.serving.backend,
        batches=version.archive.batches or spec.serving.backend == "oip",
        batch_size=spec.serving.batch_size,
        workers=spec.serving.workers,
    )


def example_of(version: ModelVersion, spec: PipelineSpec) -> dict[str, Any]:
    """The instance that the version was asked when it was judged: pipeline.yaml may give another by now."""
    return version.archive.input_example or spec.serving.input_example


def find_previous_route(history: list[RouteChange]) -> Route | None:
    """The version that served before the present one.

    What was rolled back from does not count, however new it is, and nothing that served before the model was
    withdrawn: one that comes back begins anew.
    """
    served: list[Route] = []
    for change in history:
        route = change.route
        if route is None:
            served.clear()
            continue
        if change.change == "rollback" and any(same_archive(route, earlier) for earlier in served):
            while not same_archive(served[-1], route):
                served.pop()
        if served and same_archive(served[-1], route):
            served.pop()
        served.append(route)
    return served[-2] if len(served) > 1 else None


def never_served(model: str) -> InvalidRequest:
    """What to say of a name that the gateway has never had a route of."""
    return InvalidRequest(
        f"No model {model!r} has ever been served here. The gateway's page lists those that are."
    )


def same_archive(one: Route, other: Route) -> bool:
    """Whether two routes lead to the same archive, whatever else they say."""
    return one.archive_sha256 == other.archive_sha256


@dataclass(frozen=True)
class Decision:
    """Who changes what serves, and why; the ledger keeps it, with `more` in the evidence."""

    action: Literal[Action.DEPLOY, Action.ROLLBACK]
    actor: str
    why: str
    more: Mapping[str, Any] = field(default_factory=dict)


def switch(
    gateway: Gateway, model: str, target: Route | None, current: Route | None, decided: Decision
) -> None:
    """Write the change of route into the ledger; make it; write that it is made.

    Args:
        target: None to serve the model no longer.
    """
    entry = entries.record(
        model=model,
        actor=decided.actor,
        action=decided.action,
        before=current.model_version if current else None,
        after=target.model_version if target else None,
        why=decided.why,
        evidence={
            "route": _plain(target),
            "before": _plain(current),
            **since(gateway, model),
            **decided.more,
        },
    )
    if target is None:
        gateway.withdraw(model)
    else:
        gateway.put(target, "deploy" if decided.action == Action.DEPLOY else "rollback")
    entries.complete(entry, "The gateway has the route.")


def since(gateway: Gateway, model: str) -> dict[str, int]:
    """What a switch comes after, for its evidence: the last change of the route, and the last decision that
    was undone. So a switch which is made twice, with one of these between, is two entries.
    """
    undone = [each for each in entries.history(model, {Action.RECONCILE}) if each.evidence.get("undoes")]
    after_undo = {"after_undo": undone[-1].sequence} if undone else {}
    return {"after_change": last_change(gateway, model), **after_undo}


def last_change(gateway: Gateway, model: str) -> int:
    """The number of the newest change of a model's route; 0 before the first."""
    changes = gateway.history(model)
    return changes[-1].sequence if changes else 0


def _plain(route: Route | None) -> dict[str, Any] | None:
    return route.model_dump(mode="json") if route else None


def confirm(
    gateway: Gateway, target: Route, before: Route | None, expected: dict[str, Any], actor: str
) -> RolloutCheck:
    """See the version that was switched to answer through the gateway; where it does not, undo the switch.

    Args:
        before: The route before the switch; None where the model was not served.

    Raises:
        ServingError: It does not answer as judged.
    """
    try:
        return require_answer(gateway, target, expected)
    except ServingError as error:
        if before != target:
            why = f"Version {target.model_version} does not serve: {error}"
            undo = Decision(Action.ROLLBACK, actor, why, {"undoes": True})
            switch(gateway, target.model, before, target, undo)
        raise


def require_answer(gateway: Gateway, target: Route, expected: dict[str, Any]) -> RolloutCheck:
    """Ask through the gateway, as a user would: the right version has to give the expected answer."""
    run_id, answer = gateway.probe(target.model, target.input_example)
    wrong = differences(expected, answer)
    if run_id != target.run_id or wrong:
        found = f"the run {run_id} instead of {target.run_id}; {'; '.join(wrong)}".rstrip("; ")
        raise ServingError(f"Through the gateway, {target.model} answers otherwise than it should: {found}.")
    return RolloutCheck(check="through the gateway", passed=True, detail=f"run {run_id} answers {answer}")


def move_champion(gateway: Gateway, target: Route, actor: str) -> None:
    """Let the alias `champion` follow what truly serves.

    Each change of the route has its entry, also where the alias names the version already: from then on it is
    known that whoever moves it is a person.
    """
    aliased, change = registry.aliased_version(target.model), last_change(gateway, target.model)
    if aliased == target.model_version and _is_told(target, change):
        return
    entry = entries.record(
        model=target.model,
        actor=actor,
        action=Action.CHAMPION,
        before=aliased,
        after=target.model_version,
        why=f"Version {target.model_version} answers through the gateway.",
        evidence={"route": target.model_dump(mode="json"), "before": aliased, "route_change": change},
    )
    if aliased != target.model_version:
        registry.set_champion(target.model, target.model_version)
    entries.complete(entry, f"The alias {registry.ALIAS} names version {target.model_version}.")


def _is_told(target: Route, change: int) -> bool:
    told = entries.history(target.model, {Action.CHAMPION})
    return any(entry.evidence.get("route_change") == change for entry in told)
