"""Decide whether the traffic of a Cloud Run service moves to a revision, and write it down before it does."""

from tasks.contracts import Action, CloudRunDecision, JudgeCloudRunRequest
from tasks.ledger import entries
from tasks.release.cloud_run.decide import decide
from tasks.release.cloud_run.history import LEFT, SERVES
from tasks.serving.gateway import Gateway


def judge_cloud_run(request: JudgeCloudRunRequest) -> CloudRunDecision:
    """The decision on what was seen of the planned revision; the same step run again writes nothing more."""
    plan, seen = request.plan, request.seen
    route = Gateway().route(plan.model)
    in_production = route.archive_sha256 if route else None
    verdict, why = decide(plan, seen, in_production)
    entry = entries.record(
        model=plan.model,
        actor=request.context.actor,
        action=Action.CLOUD_RUN,
        before=", ".join(f"{name}: {share} %" for name, share in sorted(seen.serving.items())) or None,
        after=SERVES if verdict == "move" else LEFT,
        why=why,
        evidence={
            "plan": plan.model_dump(mode="json", exclude={"ledger_hash"}),
            "planned": plan.ledger_hash,
            "seen": seen.model_dump(mode="json"),
            "in_production": in_production,
        },
    )
    return CloudRunDecision(plan=plan, verdict=verdict, why=why, ledger_hash=entry.entry_hash)
