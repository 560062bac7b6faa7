"""Hold what is there against the ledger, and settle what does not agree: carry on or undo, recorded.

Whoever was killed between an entry and its effect is carried on for; an effect that no entry decided is
undone. A person who moves the alias `champion` in MLflow asks for a release: it is made where the gate
promoted that version, else the alias is set back.
"""

from collections.abc import Iterable, Iterator

from tasks.contracts import (
    Action,
    DeployRequest,
    LedgerEntry,
    Mismatch,
    ReconcileRequest,
    Reconciliation,
    Route,
    SeenModel,
    Settled,
    StepContext,
    WithdrawRequest,
)
from tasks.errors import PerennialError
from tasks.gate.replay import require_replay
from tasks.ledger import entries, heads, precedent, verify
from tasks.release.ab_settle import settle_comparison
from tasks.release.close import close_release
from tasks.release.deploy import release
from tasks.release.leftovers import handed_over, tidy_up
from tasks.release.observe import known_models, see
from tasks.release.record import require_alone
from tasks.release.rollback import bring_back
from tasks.release.settle_environments import settle_environments
from tasks.release.states import HAND_OVER, is_made, mismatch, promised
from tasks.release.switch import Decision, move_champion, switch
from tasks.release.withdraw import remove_alias, withdraw
from tasks.serving.backend import exclusive
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import registry

AT_MOST = 6
"""Mismatches of one model in one run: each that is settled may show another, but there is an end to them."""

REFUSED = (PerennialError, FileNotFoundError)


def reconcile(request: ReconcileRequest) -> Reconciliation:
    """Settle what does not agree, model by model; what one model refuses does not keep the others.

    Releases that were handed over begin only where the result is told: then faults are in it, not raised.

    Raises:
        LedgerBroken: The ledger's end was cut off or written anew: nothing is done by it.
        ServingError: The gateway or the backend does not answer, or what the ledger says cannot serve; and no
            release was handed over.
    """
    registered = registry.registered_models()
    verify.require_whole_end(heads.of_models(registered))
    settled, faults = _settle_all(request.models or known_models(registered), request)
    try:
        _keep_head()
    except PerennialError as error:
        faults.append(error)
    for each in settled:
        print(f"{each.model}: {each.outcome}. {each.why}", flush=True)
    if faults and not any(each.outcome == "handed over" for each in settled):
        raise faults[0]
    return Reconciliation(settled=tuple(settled), faults=tuple(str(fault) for fault in faults))


def _settle_all(
    models: Iterable[str], request: ReconcileRequest
) -> tuple[list[Settled], list[PerennialError]]:
    """What was settled, also before something was refused, and what was refused."""
    settled: list[Settled] = []
    faults: list[PerennialError] = []
    for model in models:
        for work in (_settle_rest(model, request), settle_environments(model, request.context)):
            try:
                for each in work:
                    settled.append(each)  # noqa: PERF402 - kept one by one, so that a fault loses none of them
            except PerennialError as error:
                faults.append(error)
    return settled, faults


def _settle_rest(model: str, request: ReconcileRequest) -> Iterator[Settled]:
    """Settle all but the environments before production. What was left is looked at only where what serves is
    settled: what the route has just lost would be taken for unused.
    """
    yield from _settle_model(model, request.context)
    if request.thorough:
        yield from tidy_up(model, request.context)


def _settle_model(model: str, context: StepContext) -> Iterator[Settled]:
    for _ in range(AT_MOST):
        one = _settle_first(model, context)
        if one is None:
            return
        yield one


def _settle_first(model: str, context: StepContext) -> Settled | None:
    """What was in the middle of a release when it was looked at holds the model's versions: it is waited for,
    and looked at once more.
    """
    with exclusive(model):
        seen = see(model, _registered(model))
        found = mismatch(seen)
        if found is None:
            return None
        if found.kind == "unfinished":
            return _complete(found)
        if found.kind in {"release", "ab"}:
            return _settle_split(seen, found, context)
        if found.kind == "alias":
            return _move_alias(seen, found, context)
        withdrawn = found.entry is not None and found.entry.action == Action.WITHDRAW
        if found.kind == "route" and not withdrawn:
            return _restore_route(seen, found, context)
    # These hold the model's versions themselves.
    return _release_or_set_back(seen, found, context) if found.kind == "person" else _withdraw(found, context)


def _complete(found: Mismatch) -> Settled:
    if found.entry is not None:
        entries.complete(found.entry, found.why)
    return Settled(model=found.model, outcome="completed", why=found.why)


def _settle_split(seen: SeenModel, found: Mismatch, context: StepContext) -> Settled:
    """Carry a comparison on or end it; let the stable version answer everything where nobody follows a
    release any more.
    """
    if found.kind == "ab":
        return settle_comparison(found, seen.split, context)
    why = f"{found.why} The stable version answers everything again."
    close_release(Gateway(), seen.model, context.actor, why)
    return Settled(model=seen.model, outcome="undone", why=why)


def _move_alias(seen: SeenModel, found: Mismatch, context: StepContext) -> Settled:
    if seen.route is not None:
        move_champion(Gateway(), seen.route, context.actor)
    elif seen.alias is not None:
        remove_alias(Gateway(), seen.model, seen.alias, context.actor, found.why)
    return Settled(model=seen.model, outcome="carried on", why=found.why)


def _restore_route(seen: SeenModel, found: Mismatch, context: StepContext) -> Settled:
    """Let serve what the ledger says; where that was never carried out and cannot be, it is undone."""
    entry, wanted = promised(seen)
    why = f"{found.why} It is brought back to that."
    decided = _record(seen, context.actor, "carry on", why, {"settles": entry.entry_hash if entry else None})
    try:
        _bring(seen, entry, wanted, context.actor, why)
    except REFUSED as error:
        if entry is None or is_made(seen, entry):
            raise
        return _undo_switch(seen, entry, context.actor, f"{found.why} It cannot be any more: {error}")
    entries.complete(decided, why)
    return Settled(
        model=seen.model, outcome="undone" if entry and is_made(seen, entry) else "carried on", why=why
    )


def _bring(seen: SeenModel, entry: LedgerEntry | None, wanted: Route | None, actor: str, why: str) -> None:
    gateway = Gateway()
    if wanted is None:
        switch(gateway, seen.model, None, seen.route, Decision(Action.ROLLBACK, actor, why))
        return
    went_back = entry is not None and entry.action == Action.ROLLBACK
    again = Decision(Action.ROLLBACK if went_back else Action.DEPLOY, actor, why)
    bring_back(gateway, wanted, seen.route, again)


def _undo_switch(seen: SeenModel, entry: LedgerEntry, actor: str, why: str) -> Settled:
    _record(seen, actor, "undo", why, {"undoes": entry.entry_hash})
    return Settled(model=seen.model, outcome="undone", why=why)


def _withdraw(found: Mismatch, context: StepContext) -> Settled:
    """Carry on a withdrawal; where the model's folder is back, it is undone."""
    assert found.entry is not None  # noqa: S101 - only an entry makes a withdrawal
    entry = found.entry
    try:
        withdraw(WithdrawRequest(context=context, model=found.model, reason=entry.why))
    except REFUSED as error:
        seen = see(found.model, _registered(found.model))
        return _undo_switch(seen, entry, context.actor, f"{found.why} It cannot be any more: {error}")
    return Settled(model=found.model, outcome="carried on", why=found.why)


def _release_or_set_back(seen: SeenModel, found: Mismatch, context: StepContext) -> Settled:
    """Do what a person asked for by moving the alias, where the gate passed that version; else undo it."""
    actor = f"mlflow:{seen.moved_by}" if seen.moved_by else "mlflow:somebody"
    try:
        request, why = _asked_for(seen, found, actor, context)
    except REFUSED as error:
        return _set_back(seen, actor, f"{found.why} That is undone: {error}")
    if request.spec.release.by_steps:
        return _hand_over(seen, actor, why)
    decided = _record(seen, actor, "release", why, {"moved_to": seen.alias, "moved_by": seen.moved_by})
    try:
        release(request, why)
    except REFUSED as error:
        return _set_back(seen, actor, f"{why} It cannot be served, so that is undone: {error}")
    entries.complete(decided, f"Version {seen.alias} serves.")
    return Settled(model=seen.model, outcome="released", why=why)


def _hand_over(seen: SeenModel, actor: str, why: str) -> Settled:
    """Have a version released by steps; until it serves, the alias names what does."""
    try:
        require_alone(seen.model, "")
    except REFUSED as error:
        return _set_back(seen, actor, f"{why} Not now, so that is undone: {error}")
    said = f"{why} By steps, as pipeline.yaml says; until then the alias names what serves."
    moved = {"moved_to": seen.alias, "moved_by": seen.moved_by, "version": seen.alias}
    decided = _record(seen, actor, HAND_OVER, said, moved)
    if seen.route is None:
        registry.remove_champion(seen.model)
    else:
        registry.set_champion(seen.model, seen.route.model_version)
    entries.complete(decided, "The release is handed over.")
    return handed_over(decided, str(seen.alias))


def _asked_for(
    seen: SeenModel, found: Mismatch, actor: str, context: StepContext
) -> tuple[DeployRequest, str]:
    """The release that a moved alias asks for, and why it may be made.

    Raises:
        PerennialError: It may not, or the alias asks for none.
    """
    if seen.alias is None:
        raise PerennialError(
            "What serves has to be named; the DAG `withdraw_model` takes a model out of service."
        )
    version = registry.get_version(seen.model, seen.alias)
    promotion = precedent.promotion_of_version(version)
    require_replay(promotion)
    spec = PipelineSpec.load(settings().models / seen.model / "pipeline.yaml")
    why = f"{found.why} The gate promoted that version (entry {promotion.sequence}), so it is released."
    asked = context.model_copy(update={"actor": actor})
    return DeployRequest(context=asked, spec=spec, version=version), why


def _set_back(seen: SeenModel, actor: str, why: str) -> Settled:
    """Let the alias name again what serves."""
    serving = seen.route.model_version if seen.route else None
    decided = _record(seen, actor, "undo", why, {"moved_to": seen.alias, "moved_by": seen.moved_by})
    if serving is None:
        registry.remove_champion(seen.model)
    else:
        registry.set_champion(seen.model, serving)
    entries.complete(decided, f"The alias names {f'version {serving}' if serving else 'nothing'} again.")
    return Settled(model=seen.model, outcome="undone", why=why)


def _record(
    seen: SeenModel, actor: str, after: str, why: str, evidence: dict[str, str | None]
) -> LedgerEntry:
    """What was found with what follows, as a decision of its own each time that it happens."""
    since = seen.entries[-1].sequence if seen.entries else 0
    return entries.record(
        model=seen.model,
        actor=actor,
        action=Action.RECONCILE,
        before=seen.route.model_version if seen.route else None,
        after=after,
        why=why,
        evidence={**evidence, "alias": seen.alias, "last_change": seen.last_change, "after_entry": since},
    )


def _registered(model: str) -> dict[str, object]:
    return next((each for each in registry.registered_models() if each["name"] == model), {})


def _keep_head() -> None:
    """Let each registered model carry the ledger's head, where MLflow's people can see it."""
    newest = entries.newest()
    if newest is None:
        return
    heads.keep(newest.sequence, newest.entry_hash)
    told = heads.made(newest.sequence, newest.entry_hash)
    for model in registry.registered_models():
        if f'"sequence":{newest.sequence},' not in str(model["tags"]):
            registry.tag_model(model["name"], heads.TAG, told.model_dump_json())
