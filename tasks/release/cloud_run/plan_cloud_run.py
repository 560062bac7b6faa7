"""Say which revision a model's Cloud Run service is to have; nothing is made before the ledger has it."""

from tasks.contracts import (
    Action,
    CloudRunPlan,
    LedgerEntry,
    ModelVersion,
    PlanCloudRunRequest,
    Route,
)
from tasks.errors import InvalidRequest
from tasks.gate.replay import require_replay
from tasks.ledger import entries, precedent
from tasks.release.cloud_run.history import PLANNED, newest, served, tries
from tasks.release.cloud_run.template import INGRESS, revision_of, secret_of, service_of, template_of
from tasks.release.cloud_run.told import plan_in, told_of
from tasks.release.image_record import pushed_image
from tasks.release.rollback import version_of
from tasks.serving.gateway import Gateway
from tasks.spec import PipelineSpec
from tasks.spec.cloud_run import CloudRunSpec


def plan_cloud_run(request: PlanCloudRunRequest) -> CloudRunPlan:
    """Plan the revision of the version that serves in production, or of what the service had before.

    The same step run again gives the same plan, for as long as that is still what was asked for: a run that
    somebody clears a week later plans anew.

    Raises:
        InvalidRequest: The model has no `release.cloud_run`, nothing serves, the version has no image in the
            repository, or there is nothing to go back to.
        GateRefused: The gate did not promote the version, or it was left since.
        DeletedInMlflow, ArchiveMismatch: The registry does not hold the version as it served.
    """
    rules = request.spec.release.cloud_run
    if rules is None:
        raise InvalidRequest(f"{request.spec.name} has no release.cloud_run in its pipeline.yaml: add it.")
    told = told_of(request.spec.name)
    earlier = _planned(told, request.context.step_key)
    if earlier is not None and _counts(earlier, told):
        return plan_in(earlier)
    plan = (
        _of_production(request, rules, told)
        if request.to == "production"
        else _previous(request, rules, told)
    )
    return _recorded(request, plan)


def _planned(told: list[LedgerEntry], step_key: str) -> LedgerEntry | None:
    mine = [each for each in told if each.after == PLANNED and each.evidence.get("step_key") == step_key]
    return mine[-1] if mine else None


def _counts(earlier: LedgerEntry, told: list[LedgerEntry]) -> bool:
    """Whether an earlier plan of this step is neither overtaken nor of what production has left."""
    plan = plan_in(earlier)
    last = newest([each for each in told if each.sequence > earlier.sequence], plan.service)
    if last is not None and last.evidence.get("planned") != earlier.entry_hash:
        return False
    route = Gateway().route(plan.model)
    return plan.to == "previous" or (route is not None and route.archive_sha256 == plan.archive_sha256)


def _of_production(
    request: PlanCloudRunRequest, rules: CloudRunSpec, told: list[LedgerEntry]
) -> CloudRunPlan:
    spec, route = request.spec, Gateway().route(request.spec.name)
    if route is None:
        raise InvalidRequest(f"No version of {spec.name} serves in production. Release one first.")
    version = version_of(route)
    require_replay(precedent.promotion_of_version(version))
    repository = f"{rules.registry}/{spec.name}"
    pushed = pushed_image(version, repository)
    if pushed is None:
        push = f"make image MODEL={spec.name} VERSION={version.version} REGISTRY={rules.registry}"
        raise InvalidRequest(
            f"No image of version {version.version} of {spec.name} was pushed to {repository}. Push it: "
            f"{push}. Then start the DAG cloud_run_{spec.name}."
        )
    said = request.reason.strip() or f"Version {version.version} serves in production."
    return _plan(spec, rules, version, route, pushed.evidence["image"], told, said)


def _plan(
    spec: PipelineSpec,
    rules: CloudRunSpec,
    version: ModelVersion,
    route: Route,
    image: str,
    told: list[LedgerEntry],
    why: str,
) -> CloudRunPlan:
    template = template_of(rules, spec.name, version.version, image, spec.serving.timeout_seconds)
    service, base = service_of(rules), revision_of(rules.service, version.version, template)
    failed = tries(told, service, base)
    return CloudRunPlan(
        model=spec.name,
        to="production",
        service=service,
        ingress=INGRESS[rules.ingress],
        revision=f"{base}-{failed + 1}" if failed else base,
        base=base,
        template=template,
        image=image,
        run_id=version.run_id,
        model_version=version.version,
        version=version.archive.version,
        archive_sha256=version.archive.sha256,
        example=route.input_example,
        expected=version.archive.example_prediction,
        secret=secret_of(rules),
        timeout_seconds=spec.serving.timeout_seconds,
        ready_seconds=rules.ready_seconds,
        why=why,
    )


def _previous(request: PlanCloudRunRequest, rules: CloudRunSpec, told: list[LedgerEntry]) -> CloudRunPlan:
    """Of what the service had before, all that the ledger has of it: its revision is usually still there."""
    model, held = request.spec.name, served(told, service_of(rules))
    if len(held) < 2:
        raise InvalidRequest(
            f"There is nothing to go back to on Cloud Run: the service {rules.service} had no other revision "
            f"of {model} before the present one. Roll back in production, then start the DAG "
            f"cloud_run_{model} with `to` production."
        )
    before = plan_in(held[-2])
    said = request.reason.strip() or "somebody asked for it"
    why = f"It served before {held[-1].evidence['plan']['revision']}, and the service goes back to it: {said}"
    return before.model_copy(update={"to": "previous", "why": why, "ledger_hash": ""})


def _recorded(request: PlanCloudRunRequest, plan: CloudRunPlan) -> CloudRunPlan:
    rules = request.spec.release.cloud_run
    held = served(told_of(plan.model), service_of(rules)) if rules else []
    entry = entries.record(
        model=plan.model,
        actor=request.context.actor,
        action=Action.CLOUD_RUN,
        before=held[-1].evidence["plan"]["model_version"] if held else None,
        after=PLANNED,
        why=f"The service {plan.service} gets the revision {plan.revision}, without requests yet. {plan.why}",
        evidence={
            "plan": plan.model_dump(mode="json", exclude={"ledger_hash"}),
            "step_key": request.context.step_key,
        },
    )
    return plan.model_copy(update={"ledger_hash": entry.entry_hash})
