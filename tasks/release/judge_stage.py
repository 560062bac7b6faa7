"""Decide what follows of a stage, and let it take effect: a worse candidate answers nobody from then on."""

import time

from tasks.contracts import JudgeStageRequest, LedgerEntry, Stage, StageDecision
from tasks.errors import GateRefused
from tasks.ledger import entries
from tasks.release.close import close_own_split, close_release
from tasks.release.decide import decide
from tasks.release.look import look, loss_rule
from tasks.release.record import next_stage, of_release, record, require_under_way, until
from tasks.release.stages import asks_before
from tasks.release.tag_releases import try_to_tag_releases
from tasks.release.testers import let_testers_in
from tasks.serving.backend import exclusive
from tasks.serving.gateway import Gateway
from tasks.spec import PipelineSpec

POLL_SECONDS = 1.0


def judge_stage(request: JudgeStageRequest) -> StageDecision:
    """Decide, once: a step that is run again gives the same decision, and lets it take effect.

    It is called when a look has found that there is something to decide; where there is not yet, it waits,
    for no longer than the stage may last.

    Raises:
        GateRefused: The release was ended meanwhile, or its split is gone.
        ServingError: The gateway does not answer.
    """
    stage, gateway = request.stage, Gateway()
    while True:
        with exclusive(stage.model):
            entry = _decided(stage) or _decide(request, gateway)
            decided = _let_it_be(entry, request, gateway) if entry is not None else None
        if decided is not None:
            if decided.verdict in {"roll_back", "hold"}:
                try_to_tag_releases(stage.model)
            return decided
        time.sleep(POLL_SECONDS)


def see_stage(stage: Stage, spec: PipelineSpec, gateway: Gateway) -> StageDecision:
    """What would be decided now; nothing takes effect.

    Raises:
        ServingError: The gateway does not answer.
    """
    outcomes = gateway.outcomes(stage.model, stage.opened_at, labelled=0, losses=loss_rule(spec))
    return decide(stage, look(outcomes, stage, spec), spec)


def _decided(stage: Stage) -> LedgerEntry | None:
    found = of_release(stage.model, stage.release_id)
    return next((each for each in found if each.evidence.get("judges") == stage.ledger_hash), None)


def _decide(request: JudgeStageRequest, gateway: Gateway) -> LedgerEntry | None:
    """The entry of what follows; None where there is nothing to decide yet."""
    stage, rules = request.stage, request.spec.release
    require_under_way(stage)
    _require_divided(stage, request.context.actor, gateway)
    decision = see_stage(stage, request.spec, gateway)
    if decision.verdict == "wait":
        return None
    follows = next_stage(rules, stage.name)
    after = "shown" if rules.mode == "shadow_only" and decision.verdict == "proceed" else decision.verdict
    goes_on = after == "proceed" and request.stays_open
    return record(
        release_id=stage.release_id,
        stable=stage.stable,
        candidate=stage.candidate,
        actor=request.context.actor,
        after=after,
        at=stage.name,
        until=until(rules, follows),
        why=f"Stage {stage.name}: {decision.verdict}. {decision.why}",
        share=stage.share if goes_on else 0.0,
        judges=stage.ledger_hash,
        stage=stage.model_dump(mode="json"),
        decision=decision.model_dump(mode="json", exclude={"ledger_hash"}),
        spec=request.spec.model_dump(mode="json"),
        stays_open=goes_on,
    )


def _require_divided(stage: Stage, actor: str, gateway: Gateway) -> None:
    """End the release whose split is gone: nothing more is seen of the stage, however long it is waited for.

    Raises:
        GateRefused: So it is.
    """
    split = gateway.split(stage.model)
    if split is not None and split.release_id == stage.release_id:
        return
    why = (
        f"The release of version {stage.candidate.model_version} of {stage.model} ends at {stage.name}: the "
        "gateway does not divide the requests any more. Somebody closed the split past the ledger, or the "
        "gateway's database was restored. Release the version again."
    )
    close_release(gateway, stage.model, actor, why)
    raise GateRefused(why, release_id=stage.release_id)


def _is_asked(request: JudgeStageRequest) -> bool:
    """Whether a person is asked before what follows."""
    rules = request.spec.release
    follows = next_stage(rules, request.stage.name)
    return follows is not None and asks_before(rules, follows)


def _let_it_be(entry: LedgerEntry, request: JudgeStageRequest, gateway: Gateway) -> StageDecision:
    decision = StageDecision.model_validate(entry.evidence["decision"])
    is_asked = entry.after == "proceed" and _is_asked(request)
    stays_open = entry.evidence["stays_open"] or (is_asked and let_testers_in(gateway, entry))
    if not stays_open:
        close_own_split(gateway, request.stage.model, request.stage.release_id)
    entries.complete(entry, "The gateway divides the requests accordingly.")
    return decision.model_copy(update={"ledger_hash": entry.entry_hash})
