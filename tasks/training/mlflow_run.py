"""What MLflow keeps of a training: the run from its first
moment, its data, and at its end everything that it came from.
"""

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any

from tasks.contracts import DataSnapshot, PinnedTable, Surroundings, TrainedFor, TrainingRun, TrainRequest
from tasks.settings import settings
from tasks.stores import files, registry
from tasks.stores.registry import LINEAGE, SURROUNDINGS
from tasks.training.mlflow_records import require_active

STEP_KEY = "perennial.step_key"
STEP_SHA256 = "perennial.step_sha256"  # to search by: MLflow's filters cannot quote every character of a key
PROCESSOR_SECONDS = "perennial.processor_seconds"  # of the training program, as the kernel counted them
GPU_JOULES = "perennial.gpu_joules"  # that the GPUs drew meanwhile, as they counted them
DIGEST_LENGTH = 36  # the longest that MLflow keeps of a dataset's hash
Values = dict[str, str | int | float]


def experiment(name: str) -> str:
    """The id of the experiment of this name, which is made where it is missing.

    Raises:
        DeletedInMlflow: It was deleted.
    """
    from mlflow.exceptions import MlflowException

    client = registry.client()
    found = client.get_experiment_by_name(name)
    if found is not None:
        require_active(name, found.experiment_id, found.lifecycle_stage)
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(client.get_experiment_by_name(name).experiment_id)


def find_finished(experiment_id: str, request: TrainRequest, values: Values) -> TrainingRun | None:
    """The complete run of an earlier try of this step that is what is asked for; incomplete ones are marked
    KILLED.

    One that saw other rows, or was given other parameters, stays as it is: a champion may have come from it.
    """
    client, complete = registry.client(), None
    step_sha256 = _sha256(request.context.step_key)
    for found in client.search_runs([experiment_id], f"tags.`{STEP_SHA256}` = '{step_sha256}'"):
        run_id, status = found.info.run_id, found.info.status
        lineage = _lineage_of(client, run_id) if status == "FINISHED" else None
        if complete is None and lineage is not None and _is_what_is_asked(lineage, request, values):
            complete = lineage
        if lineage is None and status in {"RUNNING", "SCHEDULED", "FINISHED"}:
            registry.tag_run(
                run_id, {"perennial.reason": "A try of a step that ended before it was complete."}
            )
            client.set_terminated(run_id, "KILLED")
    return complete


def _is_what_is_asked(run: TrainingRun, request: TrainRequest, values: Values) -> bool:
    """By the hash of the rows: a table gets new versions without new rows, too."""
    return (
        run.snapshot.sha256 == request.snapshot.sha256
        and run.parameters == as_texts(values)
        and run.trained_for in {None, TrainedFor.of(request.spec)}
    )


def as_texts(values: Values) -> dict[str, str]:
    """A training's parameters as MLflow keeps them."""
    return {name: str(value) for name, value in values.items()}


def _lineage_of(client: Any, run_id: str) -> TrainingRun | None:
    there = client.list_artifacts(run_id, str(PurePosixPath(LINEAGE).parent))
    if LINEAGE not in [artifact.path for artifact in there]:
        return None
    run = registry.training_run(run_id)
    return run if files.at(run.model_files_url).exists() else None


def start(experiment_id: str, request: TrainRequest, values: Values) -> str:
    """Make the run, with the step's key, its parameters and its data, before anything is trained."""
    from mlflow.entities import Param

    spec, snapshot = request.spec, request.snapshot
    tags = {
        STEP_KEY: request.context.step_key,
        STEP_SHA256: _sha256(request.context.step_key),
        "perennial.reason_to_train": request.reason,
        "perennial.started_by": request.started_by or "unknown",
        "perennial.snapshot": snapshot.sha256,
        "perennial.table": snapshot.table,
        "perennial.table_version": str(snapshot.table_version),
        "perennial.tables": ", ".join(f"{table.table} v{table.version}" for table in snapshot.pinned),
        "perennial.near_duplicates": _duplicates(snapshot),
        "perennial.parameters": json.dumps(values),
        "perennial.validation_url": request.validation.url,
        "mlflow.note.content": request.reason,
        "mlflow.runName": f"{spec.name} on {snapshot.table} v{snapshot.table_version}",
        "mlflow.source.name": f"models/{spec.name}",
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": spec.training.entry_point,
    }
    client = registry.client()
    run_id = str(
        client.create_run(
            experiment_id, tags={name: value[:5000] for name, value in tags.items()}
        ).info.run_id
    )
    client.log_batch(run_id, params=[Param(*each) for each in as_texts(values).items()])
    parts = [_part(snapshot, context) for context in ("train", "validation", "test")]
    client.log_inputs(run_id, [*parts, *(_further_input(table) for table in snapshot.tables)])
    return run_id


def _duplicates(snapshot: DataSnapshot) -> str:
    found = snapshot.near_duplicates
    if found is None:
        return "not looked for"
    fate = "left out" if found.left_out else "not left out"
    return (
        f"{found.rows} rows in {found.groups} groups; {found.leaking_rows} that say the same as a row of a "
        f"later part were {fate}"
    )


def _part(snapshot: DataSnapshot, context: str) -> Any:
    """A part as MLflow names data: where the table lies, its version, and the hash of the part's rows."""
    part = getattr(snapshot, context)
    about = {"num_rows": part.rows, "sha256": part.sha256, "query": snapshot.query}
    return _dataset(snapshot.pinned[0], context, part.sha256, about)


def _further_input(table: PinnedTable) -> Any:
    """A further table that the query joined: its version says which rows there were."""
    version = f"{table.table} v{table.version}"
    return _dataset(table, "joined", _sha256(version), {"committed_at": table.version_at.isoformat()})


def _dataset(table: PinnedTable, context: str, digest: str, profile: dict[str, Any]) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {"path": f"{settings().lake}/{table.table}", "delta_table_version": table.version}
    dataset = Dataset(
        name=f"{table.table}-v{table.version}-{context}",
        digest=digest[:DIGEST_LENGTH],
        source_type="delta_table",
        source=json.dumps(source),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def fail(run_id: str, reason: str) -> None:
    """End a run that failed, with the reason."""
    registry.tag_run(run_id, {"perennial.reason": reason})
    registry.client().set_terminated(run_id, "FAILED")


def complete(run: TrainingRun, request: TrainRequest, surroundings: Surroundings) -> None:
    """Keep the reports and what the run came from, and end
    the run; one with its lineage that has ended is complete.
    """
    tags = {"perennial.lock_sha256": run.lock_sha256}
    if run.code_commit:
        tags |= {
            "perennial.code_commit": run.code_commit,
            "mlflow.source.git.commit": run.code_commit.removesuffix("+dirty"),
        }
    if run.image_digest:
        tags |= {"perennial.image_digest": run.image_digest}
    registry.tag_run(run.run_id, tags)
    for name, url in (("report.html", request.validation.url), ("report.json", request.validation.json_url)):
        registry.log_text(run.run_id, f"validation/{name}", files.at(url).read_text(encoding="utf-8"))
    registry.log_text(run.run_id, SURROUNDINGS, surroundings.model_dump_json(indent=2))
    registry.log_text(run.run_id, LINEAGE, run.model_dump_json(indent=2))
    registry.client().set_terminated(run.run_id, "FINISHED")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
