"""What was left lying and changes nothing that users see: promotions that nobody carried on, releases that
nobody began, versions that no decision made, archives that nothing uses. Looked for once an hour.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.contracts import (
    Action,
    Archive,
    DeployRequest,
    GateDecision,
    LedgerEntry,
    RegisterRequest,
    Route,
    Settled,
    StepContext,
)
from tasks.errors import PerennialError
from tasks.ledger import entries, precedent
from tasks.release.ab_record import compared_route
from tasks.release.deploy import deploy, require_still_promised
from tasks.release.in_environment import in_use
from tasks.release.record import candidate_of
from tasks.release.register import register
from tasks.release.states import HAND_OVER, SWITCHES, lost_hand_over, unused_promotion
from tasks.release.switch import find_previous_route
from tasks.release.tag_releases import tag_releases
from tasks.serving.backend import exclusive, loaded_versions, retire_all_but, versions_of
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import registry

LAPSES_AFTER = timedelta(days=1)
NOT_SERVED = "perennial.not_served"
"""The tag of a version that no decision of the ledger made: why it is never served."""


def tidy_up(model: str, context: StepContext) -> Iterator[Settled]:
    """Settle what was left of a model, each as it is asked for.

    Raises:
        ServingError: The gateway or the backend does not answer.
    """
    kinds = (_carry_on_promotion, _hand_over_again, _note_versions, _tag_releases, _remove_archives)
    for kind in kinds:
        yield from kind(model, context)


def _carry_on_promotion(model: str, context: StepContext) -> list[Settled]:
    """Register and deploy what the gate promoted and whose run was killed before it did; once."""
    followed_by = {*SWITCHES, Action.RELEASE, Action.ENVIRONMENT, Action.RECONCILE}
    told = entries.history(model, {Action.GATE, *followed_by})
    now = datetime.now(UTC)
    promotion = unused_promotion(told, now)
    if promotion is None:
        return []
    said = f"Entry {promotion.sequence} of the ledger promoted a candidate that was not deployed."
    if now - promotion.at > LAPSES_AFTER:
        return [_lapse(model, context, promotion, f"{said} That is more than a day ago: it is not any more.")]
    try:
        return [_carry_on(promotion, context, said)]
    except (PerennialError, FileNotFoundError) as error:
        return [_lapse(model, context, promotion, f"{said} It cannot be any more: {error}")]


def _carry_on(promotion: LedgerEntry, context: StepContext, said: str) -> Settled:
    spec = PipelineSpec.load(settings().models / promotion.model / "pipeline.yaml")
    decision = GateDecision.model_validate(promotion.evidence["decision"])
    request = RegisterRequest(
        context=context,
        spec=spec,
        run=registry.training_run(decision.run_id),
        archive=Archive.model_validate(promotion.evidence["archive"]),
        decision=decision.model_copy(update={"ledger_hash": promotion.entry_hash}),
    )
    version = register(request)
    if spec.release.by_steps:
        require_still_promised(promotion, version)
        why = f"{said} Its release by steps is started."
        about = {"settles": promotion.entry_hash, "version": version.version}
        entry = _record(spec.name, context, HAND_OVER, why, about)
        return handed_over(entry, version.version)
    deploy(DeployRequest(context=context, spec=spec, version=version))
    return Settled(model=spec.name, outcome="carried on", why=f"{said} Now it is.")


def _hand_over_again(model: str, context: StepContext) -> list[Settled]:
    """Have a release begun whose run was never started, or died before its first decision; once."""
    told = entries.history(model, {Action.RECONCILE, Action.RELEASE, Action.ENVIRONMENT, *SWITCHES})
    lost = lost_hand_over(told, datetime.now(UTC))
    if lost is None:
        return []
    version = str(lost.evidence["version"])
    why = (
        f"Entry {lost.sequence} of the ledger handed the release of version {version} over, and nothing came "
        "of it. It is started once more."
    )
    asked = {name: lost.evidence[name] for name in ("moved_to", "moved_by") if name in lost.evidence}
    about: dict[str, Any] = {"again": lost.entry_hash, "version": version} | asked
    entry = _record(model, context, HAND_OVER, why, about)
    return [handed_over(entry, version)]


def handed_over(entry: LedgerEntry, version: str) -> Settled:
    """What tells the DAG `reconcile_ledger` to start the release of a version."""
    return Settled(
        model=entry.model, outcome="handed over", why=entry.why, version=version, entry=entry.sequence
    )


def _lapse(model: str, context: StepContext, promotion: LedgerEntry, why: str) -> Settled:
    _record(model, context, "lapse", why, {"settles": promotion.entry_hash})
    return Settled(model=model, outcome="undone", why=why)


def _note_versions(model: str, context: StepContext) -> list[Settled]:
    """Let versions that somebody registered without the gate say that they are never served; they stay."""
    settled = []
    for number, tags in registry.versions_by_number(model).items():
        why = None if NOT_SERVED in tags else _why_not_served(model, number)
        if why is None:
            continue
        decided = _record(model, context, "not served", why, {"version": number})
        registry.client().set_model_version_tag(model, number, NOT_SERVED, why[:5000])
        entries.complete(decided, f"The version's tag {NOT_SERVED} says so.")
        settled.append(Settled(model=model, outcome="noted", why=why))
    return settled


def _tag_releases(model: str, _context: StepContext) -> list[Settled]:
    """Let MLflow say what the ledger does of each release; it decides nothing, so that nothing is settled."""
    tag_releases(model)
    return []


def _why_not_served(model: str, number: str) -> str | None:
    try:
        precedent.promotion_of_version(registry.get_version(model, number))
    except PerennialError as error:
        return str(error)
    return None


def _remove_archives(model: str, context: StepContext) -> list[Settled]:
    """Unload what neither serves nor served before: a deployment was killed after it had loaded it."""
    gateway = Gateway()
    with exclusive(model):
        beside = (candidate_of(model), compared_route(model), *in_use(model))
        routes = (gateway.route(model), _kept_warm(gateway, model), *beside)
        kept, under_way = versions_of(routes), set(gateway.in_flight(model))
        loaded = loaded_versions(model, kept)
        keep = {name: kept.get(name, set()) | under_way for name in {*kept, *(name for name, _ in loaded)}}
        unused = sorted(version for name, version in loaded if version not in keep[name])
        if not unused:
            return []
        why = f"Nothing sends requests to the archives {', '.join(unused)}: they are unloaded."
        decided = _record(
            model, context, "remove", why, {"archives": unused, "kept": sorted(set().union(*keep.values()))}
        )
        retire_all_but(model, keep)
        entries.complete(decided, "They are unloaded.")
    return [Settled(model=model, outcome="removed", why=why)]


def _kept_warm(gateway: Gateway, model: str) -> Route | None:
    """The version that served before, for as long as it stays loaded: where releases go by steps, so long as
    the specification says, else until the next deployment.
    """
    history = gateway.history(model)
    previous, file = find_previous_route(history), settings().models / model / "pipeline.yaml"
    if previous is None or not file.is_file():
        return previous
    rules = PipelineSpec.load(file).release
    age = datetime.now(UTC) - history[-1].at
    is_proven = rules.by_steps and age > timedelta(seconds=rules.keep_warm_seconds)
    return None if is_proven else previous


def _record(model: str, context: StepContext, after: str, why: str, evidence: dict[str, Any]) -> LedgerEntry:
    return entries.record(
        model=model,
        actor=context.actor,
        action=Action.RECONCILE,
        before=None,
        after=after,
        why=why,
        evidence=evidence,
    )
