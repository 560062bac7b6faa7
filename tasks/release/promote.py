"""Let the version of a release answer everything: as a deployment's switch, whose checks it passes again."""

from tasks.contracts import DeployRequest, PromoteRequest, Rollout
from tasks.errors import GateRefused
from tasks.ledger import entries
from tasks.release.deploy import release
from tasks.release.open_stage import require_allowed, require_answered
from tasks.release.record import of_release, record, require_under_way
from tasks.release.switch import same_archive
from tasks.serving.gateway import Gateway
from tasks.spec import PRODUCTION


def promote(request: PromoteRequest) -> Rollout:
    """Serve the version; the one before stays loaded. Killed anywhere, the step may be run again.

    Raises:
        GateRefused: A stage or a person said no, or the release was ended.
        ServingError: The version does not answer through the gateway; what served before serves again.
    """
    acceptance, context = request.acceptance, request.context
    if not acceptance.plan:
        require_answered(request.approval, request.spec, PRODUCTION)
    require_allowed(acceptance, request.approval, context.actor)
    if acceptance.plan and (request.before is None or request.before.verdict != "proceed"):
        said = f"{request.before.verdict}: {request.before.why}" if request.before else "nothing"
        raise GateRefused(f"Version {acceptance.candidate.model_version} is not promoted: it says {said}")
    serving = Gateway().route(acceptance.model)
    if serving is None or not same_archive(serving, acceptance.candidate):
        require_under_way(acceptance)
    shown = request.before.why if request.before else "It is the first version, and was accepted."
    why = f"The release of version {acceptance.version.version} has gone through. {shown}"
    rollout = release(DeployRequest(context=context, spec=request.spec, version=acceptance.version), why)
    if not of_release(acceptance.model, acceptance.release_id, "promoted"):
        entry = record(
            release_id=acceptance.release_id,
            stable=acceptance.stable,
            candidate=acceptance.candidate,
            actor=context.actor,
            after="promoted",
            at="promoted",
            why=why,
        )
        entries.complete(entry, "It serves; the version before stays loaded.")
    return rollout
