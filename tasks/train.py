"""Train a candidate: run the model's MLflow Project on the snapshot, and keep with the run everything that it came from.

The run carries the step's key from its first moment. A later try of the same step takes a run that is complete as it is, and
marks every other one KILLED, so that a training that was killed anywhere leaves nothing half-true behind.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from tasks import child, lineage, registry, store
from tasks.contracts import DataSnapshot, TrainingRun
from tasks.errors import TrainingFailed
from tasks.mlproject import checked, parameters
from tasks.registry import LINEAGE
from tasks.requests import TrainRequest
from tasks.settings import settings

DIGEST_LENGTH = 36  # the longest that MLflow keeps of a dataset's hash
STEP_KEY = "perennial.step_key"


def train(request: TrainRequest) -> TrainingRun:
    """Train on the train part, stop by the validation part; the test part is never handed over.

    Raises:
        InvalidProject: MLproject is wrong.
        InvalidRequest: A parameter is unknown, of the wrong type or out of bounds.
        TrainingFailed: The training program failed, took too long, or wrote nothing to serve.
    """
    spec = request.spec
    values = checked(request.parameters, parameters(spec, settings().models))
    client = registry.client()
    experiment_id = _experiment(client, spec.name)
    finished = _finished_before(client, experiment_id, request.context.step_key)
    if finished is not None:
        return finished
    run_id = _create_run(client, experiment_id, request, values)
    files_url = _run_project(client, run_id, request, values)
    run = TrainingRun(
        model=spec.name,
        run_id=run_id,
        experiment_id=experiment_id,
        code_commit=lineage.code_commit(settings().project),
        image_digest=None,
        lock_sha256=lineage.lock_sha256(settings().project, settings().models / spec.name),
        parameters={name: str(value) for name, value in values.items()},
        seed=int(values["seed"]),
        snapshot=request.snapshot,
        model_files_url=files_url,
    )
    _log_lineage(client, run, request)
    return run


def _experiment(client: Any, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException:  # another training made it in this moment
        return str(client.get_experiment_by_name(name).experiment_id)


def _finished_before(client: Any, experiment_id: str, step_key: str) -> TrainingRun | None:
    """The complete run of an earlier try of this step; the incomplete ones are marked KILLED."""
    complete = None
    for found in client.search_runs([experiment_id], f"tags.`{STEP_KEY}` = '{_quoted(step_key)}'"):
        if found.info.status == "FINISHED" and complete is None:
            complete = _lineage_of(client, found.info.run_id)
            if complete is not None:
                continue
        if found.info.status in {"RUNNING", "SCHEDULED", "FINISHED"}:
            client.set_tag(
                found.info.run_id, "perennial.reason", "An earlier try of this step; it ended before it was complete."
            )
            client.set_terminated(found.info.run_id, "KILLED")
    return complete


def _lineage_of(client: Any, run_id: str) -> TrainingRun | None:
    import mlflow

    if LINEAGE not in [artifact.path for artifact in client.list_artifacts(run_id, Path(LINEAGE).parent.as_posix())]:
        return None
    run = TrainingRun.model_validate_json(mlflow.artifacts.load_text(f"runs:/{run_id}/{LINEAGE}"))
    return run if store.at(run.model_files_url).exists() else None


def _create_run(client: Any, experiment_id: str, request: TrainRequest, values: dict[str, str | int | float]) -> str:
    from mlflow.entities import Param, RunTag

    spec, snapshot = request.spec, request.snapshot
    tags = {
        STEP_KEY: request.context.step_key,
        "perennial.reason_to_train": request.reason,
        "perennial.snapshot": snapshot.sha256,
        "perennial.table": snapshot.table,
        "perennial.table_version": str(snapshot.table_version),
        "mlflow.runName": f"{spec.name}-v{snapshot.table_version}",
        "mlflow.source.name": f"models/{spec.name}",
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": spec.training.entry_point,
    }
    run_id = str(client.create_run(experiment_id, tags={name: value[:5000] for name, value in tags.items()}).info.run_id)
    params = [Param(name, str(value)) for name, value in values.items()]
    client.log_batch(run_id, params=params, tags=[RunTag("mlflow.note.content", request.reason)])
    _log_dataset(client, run_id, snapshot)
    return run_id


def _log_dataset(client: Any, run_id: str, snapshot: DataSnapshot) -> None:
    import json

    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {"path": f"{settings().lake}/{snapshot.table}", "delta_table_version": snapshot.table_version}
    inputs = []
    for context, part in (("training", snapshot.train), ("validation", snapshot.validation), ("test", snapshot.test)):
        profile = {"num_rows": part.rows, "sha256": part.sha256, "query": snapshot.query}
        dataset = Dataset(
            name=f"{snapshot.table}@v{snapshot.table_version}/{context}",
            digest=part.sha256[:DIGEST_LENGTH],
            source_type="delta_table",
            source=json.dumps(source),
            profile=json.dumps(profile),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    client.log_inputs(run_id, inputs)


def _run_project(client: Any, run_id: str, request: TrainRequest, values: dict[str, str | int | float]) -> str:
    """Run the project in a child process that dies with this one, and return where the files for serving lie."""
    spec, work_url = request.spec, request.context.work_url
    scratch = settings().home / "scratch" / hashlib.sha256(request.context.step_key.encode()).hexdigest()[:16]
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "output").mkdir(parents=True)
    store.fetch(request.snapshot.train.url, scratch / "data" / "train.parquet")
    store.fetch(request.snapshot.validation.url, scratch / "data" / "validation.parquet")
    given = {**values, "data": scratch / "data", "output": scratch / "output"}
    command = [sys.executable, "-m", "mlflow", "run", str(settings().models / spec.name), "--env-manager", "local"]
    command += ["--entry-point", spec.training.entry_point, "--run-id", run_id]
    command += [part for name, value in given.items() for part in ("-P", f"{name}={value}")]
    ended = child.run(
        command,
        log=scratch / "training.log",
        timeout_seconds=spec.training.timeout_seconds,
        environment=_environment(scratch),
        folder=scratch,
    )
    log_url = store.write_text(work_url, run_id, "training.log", text=(scratch / "training.log").read_text(encoding="utf-8"))
    fault = _fault(ended, scratch / "output", spec.training.timeout_seconds)
    if fault:
        client.set_tag(run_id, "perennial.reason", fault)
        client.set_terminated(run_id, "FAILED")
        raise TrainingFailed(
            f"Training {spec.name} {fault} (MLflow run {run_id}). The whole log is {log_url}; it ends with:\n{ended.tail}",
            run_id=run_id,
            log_url=log_url,
            exit_code=ended.code,
        )
    files_url = _keep(scratch / "output", str(store.at(work_url, run_id, "model")))
    shutil.rmtree(scratch, ignore_errors=True)
    return files_url


def _environment(scratch: Path) -> dict[str, str]:
    """`python` in MLproject's command is this environment's; temporary files go where the next try sweeps."""
    (scratch / "tmp").mkdir()
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "TMPDIR": str(scratch / "tmp"),
        "MLFLOW_TRACKING_URI": settings().mlflow_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
    }


def _fault(ended: child.Ended, output: Path, timeout_seconds: float) -> str | None:
    if ended.timed_out:
        return f"took longer than training.timeout_seconds, {timeout_seconds:.0f} s, and was stopped"
    if ended.code != 0:
        return f"ended with code {ended.code}"
    if not any(path.is_file() for path in output.rglob("*")):
        return "ended well but wrote no file to the folder of its parameter `output`"
    return None


def _keep(output: Path, url: str) -> str:
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        target = store.at(url, *path.relative_to(output).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
    return url


def _log_lineage(client: Any, run: TrainingRun, request: TrainRequest) -> None:
    """Tags and artifacts; the lineage itself last, because it says that the run is complete."""
    tags = {
        "perennial.code_commit": run.code_commit or "",
        "perennial.lock_sha256": run.lock_sha256,
        "perennial.validation_url": request.validation.url,
        "mlflow.source.git.commit": (run.code_commit or "").removesuffix("+dirty"),
    }
    for name, value in tags.items():
        if value:
            client.set_tag(run.run_id, name, value)
    for name, url in (("report.html", request.validation.url), ("report.json", request.validation.json_url)):
        client.log_text(run.run_id, store.at(url).read_text(encoding="utf-8"), f"validation/{name}")
    client.log_text(run.run_id, run.model_dump_json(indent=2), LINEAGE)


def _quoted(value: str) -> str:
    return value.replace("'", "\\'")
