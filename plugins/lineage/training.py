"""What the steps read and wrote that train and judge a candidate."""

from openlineage.client.facet_v2 import DatasetFacet

from plugins.lineage.facets import StepLineage, read, tags, tests_of_rules, written
from plugins.lineage.made import archive_read, snapshot_read, version_read
from plugins.lineage.places import Places, also_called, located
from tasks.contracts import (
    Archive,
    EvaluateRequest,
    EvaluationReport,
    GateDecision,
    GateRequest,
    ModelScore,
    PackageRequest,
    TrainingRun,
    TrainRequest,
)


def train(places: Places, request: TrainRequest, result: TrainingRun | None) -> StepLineage:
    """A training program is given the first two parts; the third is kept from it."""
    inputs = snapshot_read(places, request.spec, request.snapshot, "train", "validation")
    if result is None:
        return StepLineage(inputs)
    files = written(places.of_model(request.spec.name, "model_files"), result.run_id, _of_run(places, result))
    facts = {
        "reason": request.reason,
        "mlflow_run_id": result.run_id,
        "snapshot_sha256": result.snapshot.sha256,
        "code_commit": result.code_commit,
        "image_digest": result.image_digest,
        "lock_sha256": result.lock_sha256,
        "seed": result.seed,
    }
    parameters = {f"parameter.{name}": value for name, value in result.parameters.items()}
    return StepLineage(inputs, [files], tags({**facts, **parameters}))


def package(places: Places, request: PackageRequest, result: Archive | None) -> StepLineage:
    """From the files of the training to the archive."""
    files = places.of_model(request.spec.name, "model_files")
    inputs = [read(files, request.run.run_id, _of_run(places, request.run))]
    if result is None:
        return StepLineage(inputs)
    archive = places.of_model(request.spec.name, "archive")
    place = also_called(location=located(result.url))
    return StepLineage(inputs, [written(archive, result.sha256, place, size_bytes=result.size_bytes)])


def evaluate(places: Places, request: EvaluateRequest, result: EvaluationReport | None) -> StepLineage:
    """From what was compared, and the frozen rows, to the scores."""
    model, champion = request.spec.name, request.champion
    others = {version.version: version for version in (champion.version, champion.root) if version}
    inputs = [
        archive_read(places, model, request.archive),
        *(version_read(places, version) for version in others.values()),
        *snapshot_read(places, request.spec, request.run.snapshot, "test"),
    ]
    if result is None:
        return StepLineage(inputs)
    place = also_called(location=located(result.report_url))
    report = written(places.of_model(model, "evaluation"), request.run.run_id, place)
    scores = [score for score in (result.candidate, result.champion, result.root, result.baseline) if score]
    facts = {"rows": result.rows, "primary_metric": result.primary_metric, **_metrics(scores)}
    return StepLineage(inputs, [report], tags(facts))


def gate(places: Places, request: GateRequest, result: GateDecision | None) -> StepLineage:
    """From the scores to the decision in the ledger, with each rule."""
    model = request.spec.name
    evaluation = read(places.of_model(model, "evaluation"), request.run.run_id)
    inputs = [evaluation, archive_read(places, model, request.archive)]
    if result is None:
        return StepLineage(inputs)
    facts = {"verdict": result.verdict, "why": result.why}
    entry = written(places.ledger(), result.ledger_hash)
    return StepLineage(inputs, [entry], {**tags(facts), **tests_of_rules(result)})


def _of_run(places: Places, run: TrainingRun) -> dict[str, DatasetFacet]:
    """The files that a training wrote are MLflow's: the folder, and the run that has it."""
    return also_called(location=located(run.model_files_url), mlflow_run=places.mlflow_run(run.run_id))


def _metrics(scores: list[ModelScore]) -> dict[str, str]:
    return {
        f"{score.role}.{metric.name}": f"{metric.value:.6g} [{metric.low:.6g}, {metric.high:.6g}]"
        for score in scores
        for metric in score.metrics
    }
