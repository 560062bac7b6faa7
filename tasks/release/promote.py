"""Let the version of a release answer everything: as a deployment's switch, whose checks it passes again."""

from typing import Any

from tasks.contracts import DeployRequest, PromoteRequest, Rollout
from tasks.errors import GateRefused
from tasks.ledger import entries
from tasks.release.deploy import release
from tasks.release.open_stage import approved, require_allowed, require_answered, require_still_passed
from tasks.release.record import is_under_way, record, require_under_way
from tasks.serving.gateway import Gateway
from tasks.spec import PRODUCTION


def promote(request: PromoteRequest) -> Rollout:
    """Serve the version; the one before stays loaded. Killed anywhere, the step may be run again.

    Raises:
        GateRefused: A stage or a person said no, the release was ended, or the version was rolled back in an
            environment before production.
        ServingError: The version does not answer through the gateway; what served before serves again.
    """
    acceptance, context = request.acceptance, request.context
    if not acceptance.plan:
        require_answered(request.approval, request.spec, PRODUCTION)
    require_allowed(acceptance, request.approval, context.actor)
    if acceptance.plan and (request.before is None or request.before.verdict != "proceed"):
        said = f"{request.before.verdict}: {request.before.why}" if request.before else "nothing"
        raise GateRefused(f"Version {acceptance.candidate.model_version} is not promoted: it says {said}")
    shown = request.before.why if request.before else acceptance.why
    why = f"The release of version {acceptance.version.version} has gone through. {shown}"
    why += approved(request.approval)

    def may() -> None:
        require_under_way(acceptance)
        require_still_passed(acceptance, request.spec, context.actor, Gateway())

    return release(
        DeployRequest(context=context, spec=request.spec, version=acceptance.version),
        why,
        may,
        told=_said(request),
        serves=lambda: _promoted(request, why),
    )


def _promoted(request: PromoteRequest, why: str) -> None:
    """Write down that the release has come to its end, once."""
    acceptance = request.acceptance
    if not is_under_way(acceptance):
        return
    entry = record(
        release_id=acceptance.release_id,
        stable=acceptance.stable,
        candidate=acceptance.candidate,
        actor=request.context.actor,
        after="promoted",
        at="promoted",
        why=why,
        approval=_said(request)["approval"],
    )
    entries.complete(entry, "It serves; the version before stays loaded.")


def _said(request: PromoteRequest) -> dict[str, Any]:
    """What the switch rests on beside the routes: the release, and what a person said where one was asked."""
    approval = request.approval.model_dump(mode="json") if request.approval else None
    return {"release_id": request.acceptance.release_id, "approval": approval}
