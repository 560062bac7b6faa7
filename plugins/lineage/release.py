"""What the steps read and wrote that make a version and change what serves."""

from typing import Any

from openlineage.client.event_v2 import OutputDataset

from plugins.lineage.facets import StepLineage, read, tags, written
from plugins.lineage.made import archive_read, version_read
from plugins.lineage.places import Places, also_called
from tasks.contracts import (
    DeployRequest,
    ModelVersion,
    ReconcileRequest,
    Reconciliation,
    RegisterRequest,
    ReproduceRequest,
    Reproduction,
    RollbackRequest,
    Rollout,
)

CHANGES = frozenset({"carried on", "undone", "released"})
"""What a reconciliation may do that may change what serves."""


def register(places: Places, request: RegisterRequest, result: ModelVersion | None) -> StepLineage:
    """From the archive to the version."""
    inputs = [archive_read(places, request.spec.name, request.archive)]
    if result is None:
        return StepLineage(inputs)
    run = also_called(mlflow_run=places.mlflow_run(result.run_id))
    return StepLineage(inputs, [written(places.registered(result.model), result.version, run)])


def deploy(places: Places, request: DeployRequest, result: Rollout | None) -> StepLineage:
    """From the version to what answers requests."""
    return StepLineage([version_read(places, request.version)], *_switched(places, result))


def rollback(places: Places, _request: RollbackRequest, result: Rollout | None) -> StepLineage:
    """From the version that serves again to what answers requests."""
    if result is None or result.stable is None:  # none serves again
        return StepLineage()
    back = read(places.registered(result.model), result.stable.model_version)
    return StepLineage([back], *_switched(places, result))


def reconcile(places: Places, _request: ReconcileRequest, result: Reconciliation | None) -> StepLineage:
    """What answers requests otherwise than before, of the models that were settled by changing that."""
    settled = result.settled if result else ()
    changed = sorted({one.model for one in settled if one.outcome in CHANGES})
    facts = {f"settled.{number}": f"{one.model}: {one.why}" for number, one in enumerate(settled)}
    return StepLineage([], [written(places.served(model)) for model in changed], tags(facts))


def _switched(places: Places, result: Rollout | None) -> tuple[list[OutputDataset], dict[str, Any]]:
    """What answers requests from now on, and which it was before; nothing where that stayed as it was."""
    if result is None or result.stable is None:
        return [], {}
    left = result.previous.model_version if result.previous else None
    facts = {"verdict": result.verdict, "archive_sha256": result.stable.archive_sha256, "previous": left}
    switched = written(places.served(result.model), result.stable.model_version)
    return [] if result.verdict == "kept_previous" else [switched], tags(facts)


def reproduce(places: Places, _request: ReproduceRequest, result: Reproduction | None) -> StepLineage:
    """The version that was trained again, and whether it came out the same."""
    if result is None:
        return StepLineage()
    facts = {
        "verdict": result.verdict,
        "why": result.why,
        "mlflow_run_id": result.run_id,
        "reproduced_as": result.reproduced_as,
    }
    return StepLineage([read(places.registered(result.model), result.version)], run_facets=tags(facts))
