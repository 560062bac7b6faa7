"""Divide a model's requests for one stage of a release: what is decided is in the ledger first."""

from datetime import UTC, datetime, timedelta

from tasks.contracts import Acceptance, Approval, LedgerEntry, OpenStageRequest, Route, Stage, TrafficSplit
from tasks.errors import GateRefused
from tasks.ledger import entries
from tasks.percent import percent
from tasks.release.close import close_release, finish
from tasks.release.in_environment import environments_of, require_passed
from tasks.release.look import counted, loss_rule
from tasks.release.record import GRACE, of_release, record, require_under_way
from tasks.release.stages import asks_before, kind_of, longest_seconds, plan, slow_after
from tasks.serving.backend import exclusive
from tasks.serving.gateway import Gateway
from tasks.spec import PipelineSpec

USUAL = timedelta(days=1)
"""Of the stable version, so much of the past says how long answers take, and what it did alone."""


def open_stage(request: OpenStageRequest) -> Stage:
    """Open a stage, once: a step that is run again gives the same one, and its split is there.

    Raises:
        GateRefused: The stage before did not say `proceed`, a person said no, or the release was ended.
        ServingError: The gateway does not answer.
    """
    acceptance, gateway = request.acceptance, Gateway()
    require_answered(request.approval, request.spec, request.stage)
    require_allowed(request.acceptance, request.approval, request.context.actor)
    if request.before is not None and request.before.verdict != "proceed":
        raise GateRefused(f"Stage {request.before.stage} said {request.before.verdict}: {request.before.why}")
    with exclusive(acceptance.model):
        require_under_way(acceptance)
        require_still_passed(acceptance, request.spec, request.context.actor, gateway)
        stage = _opened_before(request) or _open(request, gateway)
        split = split_of(stage)
        if gateway.split(acceptance.model) != split:
            gateway.open_split(split)
        if entry := entries.find(stage.ledger_hash or ""):
            entries.complete(entry, "The gateway divides the requests.")
    return stage


def split_of(stage: Stage) -> TrafficSplit:
    """What the gateway is told of a stage."""
    return TrafficSplit(
        release_id=stage.release_id,
        kind=stage.kind,
        candidate=stage.candidate,
        share=stage.share,
        shadow_share=stage.shadow_share,
        sticky_by=stage.sticky_by,
    )


def require_answered(approval: Approval | None, spec: PipelineSpec, stage: str) -> None:
    """Refuse to go on without an answer where a person is to be asked: the question's task was marked.

    Raises:
        GateRefused: There is none.
    """
    if approval is None and asks_before(spec.release, stage):
        raise GateRefused(
            f"Before {stage} a person is asked (release.approval of {spec.name}), but there is no answer: "
            f"the task ask_before_{stage} was marked or skipped. Clear it with what follows, and answer."
        )


def require_allowed(acceptance: Acceptance, approval: Approval | None, actor: str) -> None:
    """End the release where a person was asked and said no, or nobody answered and that counts as no; one
    that is over already stays as it was ended. The caller does not hold the model's versions.

    Raises:
        GateRefused: So it is.
        ServingError: The gateway does not answer.
    """
    if approval is None or approval.approved:
        return
    who = approval.by or "nobody in time, which counts as no"
    why = f"A person was asked whether the release goes on, and no was said by {who}. {approval.why}".strip()
    with exclusive(acceptance.model):
        told = of_release(acceptance.model, acceptance.release_id, "rejected")
        if not told:
            require_under_way(acceptance)
        finish(Gateway(), told[0] if told else _rejected(acceptance, approval, actor, why))
    raise GateRefused(why)


def _rejected(acceptance: Acceptance, approval: Approval, actor: str, why: str) -> LedgerEntry:
    return record(
        release_id=acceptance.release_id,
        stable=acceptance.stable,
        candidate=acceptance.candidate,
        actor=f"person:{approval.by}" if approval.by else actor,
        after="rejected",
        at="approval",
        why=why,
        approval=approval.model_dump(mode="json"),
    )


def approved(approval: Approval | None) -> str:
    """Who said yes, as a sentence to add to another; empty where nobody was asked."""
    if approval is None:
        return ""
    at = f"{approval.at:%Y-%m-%d %H:%M} UTC"
    if approval.by is None:
        return f" Nobody had answered by {at}, which counts as yes."
    return f" Approved by {approval.by} at {at}. {approval.why}".rstrip()


def require_still_passed(acceptance: Acceptance, spec: PipelineSpec, actor: str, gateway: Gateway) -> None:
    """End the release of a version that was rolled back in an environment before production since it was
    accepted; the caller holds the model's versions.

    Raises:
        GateRefused: So it was.
        ServingError: The gateway does not answer.
    """
    try:
        require_passed(acceptance.version, environments_of(spec))
    except GateRefused as error:
        close_release(gateway, acceptance.model, actor, f"The release ends. {error}")
        raise


def _opened_before(request: OpenStageRequest) -> Stage | None:
    for entry in of_release(request.acceptance.model, request.acceptance.release_id, "stage"):
        if entry.evidence["at"] == request.stage:
            opened = Stage.model_validate(entry.evidence["stage"])
            return opened.model_copy(update={"ledger_hash": entry.entry_hash})
    return None


def _open(request: OpenStageRequest, gateway: Gateway) -> Stage:
    acceptance, approval = request.acceptance, request.approval
    stage = _stage(request.spec, acceptance, acceptance.stable, request.stage, gateway)
    share = stage.share or stage.shadow_share
    entry = record(
        release_id=stage.release_id,
        stable=stage.stable,
        candidate=stage.candidate,
        actor=request.context.actor,
        after="stage",
        at=stage.name,
        until=stage.until,
        why=f"Stage {stage.name} begins: version {stage.candidate.model_version} "
        f"{'answers' if stage.share else 'sees copies of'} {percent(share)} of the requests."
        f"{approved(approval)}",
        share=stage.share,
        stage=stage.model_dump(mode="json"),
        approval=approval.model_dump(mode="json") if approval else None,
        after_decision=request.before.ledger_hash if request.before else acceptance.ledger_hash,
    )
    return stage.model_copy(update={"ledger_hash": entry.entry_hash})


def _stage(
    spec: PipelineSpec, acceptance: Acceptance, stable: Route | None, name: str, gateway: Gateway
) -> Stage:
    if stable is None:
        raise GateRefused(f"No version of {spec.name} serves, so there is nothing to compare with.")
    rules, shares, now = spec.release, plan(spec.release), datetime.now(UTC)
    kind = kind_of(name)
    usual = gateway.outcomes(spec.name, now - USUAL, labelled=0, losses=loss_rule(spec))
    before = counted(usual, stable.run_id, spec, as_candidate=False)
    return Stage(
        release_id=acceptance.release_id,
        model=spec.name,
        name=name,
        kind=kind,
        number=[*shares].index(name),
        stages=len(shares),
        share=shares[name],
        shadow_share=rules.shadow.share if kind == "shadow" else 0.0,
        sticky_by=rules.sticky_by,
        opened_at=now,
        until=now + timedelta(seconds=longest_seconds(rules, kind)) + GRACE,
        slow_after_seconds=slow_after(before, rules),
        stable=stable,
        candidate=acceptance.candidate,
        before=before,
    )
