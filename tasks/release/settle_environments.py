"""Hold what is there of the environments before production against the ledger, and settle what differs.

The newest decision counts: a step that was killed is carried on for, and a route or an alias that somebody
changed past the ledger is set back. Nobody releases by moving such an alias; `perennial release` does that.
"""

from collections.abc import Iterator

from tasks.contracts import Action, LedgerEntry, Route, Settled, StepContext
from tasks.ledger import entries
from tasks.release.in_environment import Change, confirmed, tell_alias, told_of
from tasks.release.passages import ENTERED, newest_change, promised_in, unsettled
from tasks.release.rollback import make_ready, version_of
from tasks.release.switch import last_change
from tasks.serving.backend import exclusive, serving_backend
from tasks.serving.environments import addresses, gateway_of
from tasks.serving.gateway import Gateway
from tasks.stores import registry


def settle_environments(model: str, context: StepContext) -> Iterator[Settled]:
    """Settle each environment of a model; the caller does not hold the model's versions.

    Raises:
        ServingError: Its gateway does not answer, or what the ledger says cannot serve there.
    """
    for name in addresses():
        with exclusive(model):
            told, gateway = told_of(model), gateway_of(name)
            entry = newest_change(told, name)
            if entry is None:
                continue
            route, alias = gateway.route(model), registry.aliased_version(model, name)
            if why := unsettled(told, name, route, alias):
                yield _settled(entry, promised_in(told, name), name, why, context, gateway)


def _settled(
    entry: LedgerEntry,
    wanted: Route | None,
    environment: str,
    why: str,
    context: StepContext,
    gateway: Gateway,
) -> Settled:
    decided = entries.record(
        model=entry.model,
        actor=context.actor,
        action=Action.RECONCILE,
        before=None,
        after="carry on",
        why=f"{why} It is brought back to that.",
        evidence={
            "environment": environment,
            "settles": entry.entry_hash,
            "after_change": last_change(gateway, entry.model),
            "after_entry": told_of(entry.model)[-1].sequence,
        },
    )
    _bring(entry.model, wanted, gateway)
    _require_entered(entry, wanted, environment, context, gateway)
    tell_alias(entry.model, environment, wanted)
    entries.complete(entry, why)
    entries.complete(decided, why)
    return Settled(model=entry.model, outcome="carried on", why=decided.why)


def _require_entered(
    entry: LedgerEntry, wanted: Route | None, environment: str, context: StepContext, gateway: Gateway
) -> None:
    """See a version answer that was killed on its way in: only what has answered there has passed."""
    if wanted is None or entry.after != ENTERED:
        return
    before = entry.evidence["before"]
    change = Change(
        environment=environment,
        model=entry.model,
        after=ENTERED,
        actor=context.actor,
        why=entry.why,
        target=wanted,
        before=Route.model_validate(before) if before else None,
    )
    confirmed(gateway, change, version_of(wanted).archive.example_prediction)


def _bring(model: str, wanted: Route | None, gateway: Gateway) -> None:
    if wanted is None:
        gateway.withdraw(model)
    elif gateway.route(model) != wanted:
        make_ready(serving_backend(wanted.backend), version_of(wanted), wanted)
        gateway.put(wanted, "rollback")
