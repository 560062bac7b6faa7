"""Train a candidate: run the model's MLflow Project on the
snapshot, and keep with the run everything that it came from.

The run carries the step's key from its first moment. A later try of the same step takes a complete run of
the same rows and parameters as it is, and marks every incomplete one KILLED, so that a training that was
killed anywhere leaves nothing half-true behind.
"""

import shutil
from pathlib import Path

from tasks.contracts import TrainedFor, TrainingRun, TrainRequest
from tasks.errors import FrozenSetMismatch, ProgramBroken, TrainingFailed
from tasks.evaluation.preparation.kept_code import keep_code
from tasks.runtime import code_version
from tasks.settings import settings
from tasks.stores import files, registry
from tasks.training import mlflow_run, program
from tasks.training.follow import followed
from tasks.training.mlflow_run import GPU_JOULES, PROCESSOR_SECONDS, Values
from tasks.training.mlproject import check_parameters, parameters
from tasks.training.preflight import require_commit
from tasks.training.surroundings import find_surroundings


def train(request: TrainRequest) -> TrainingRun:
    """Train on the train part, stop by the validation part; the test part is never handed over.

    Raises:
        WrongCode: The run is of another commit than the code here.
        InvalidProject: MLproject is wrong.
        InvalidRequest: A parameter is unknown, of the wrong type or out of bounds.
        FrozenSetMismatch: A part does not hold the rows that were frozen.
        TrainingFailed: The training program failed, or took too long.
        ProgramBroken: It failed by a fault of its own, or wrote nothing to serve: another try would, too.
    """
    spec = request.spec
    require_commit(request)
    values = check_parameters(request.parameters, parameters(spec, settings().models))
    experiment_id = mlflow_run.experiment(spec.name)
    finished = mlflow_run.find_finished(experiment_id, request, values)
    if finished is not None:
        return finished
    run_id = mlflow_run.start(experiment_id, request, values)
    try:
        files_url = _run_project(run_id, experiment_id, request, values)
    except (OSError, FrozenSetMismatch) as error:
        mlflow_run.fail(run_id, f"stopped, because a file could not be written or read: {error}")
        raise
    run = TrainingRun(
        model=spec.name,
        run_id=run_id,
        experiment_id=experiment_id,
        code_commit=code_version.code_commit(settings().project),
        image_digest=settings().image_digest or None,
        lock_sha256=code_version.lock_sha256(settings().project, settings().models / spec.name),
        parameters=mlflow_run.as_texts(values),
        seed=int(values["seed"]),
        snapshot=request.snapshot,
        model_files_url=files_url,
        trained_for=TrainedFor.of(spec),
    )
    mlflow_run.complete(run, request, find_surroundings(spec))
    return run


def _run_project(run_id: str, experiment_id: str, request: TrainRequest, values: Values) -> str:
    """Run the project to its end, and return where the files for serving lie."""
    spec, work_url = request.spec, request.context.work_url
    keep_code(settings().models, spec.name, str(files.at(work_url, run_id)))
    scratch = program.make_scratch(request.context.step_key, request.snapshot)
    record = program.Record(run_id, experiment_id)
    with followed(run_id, values, [scratch, settings().models / spec.name], work_url):
        trained = program.run(spec, values, record, scratch, models=settings().models)
    spent = {PROCESSOR_SECONDS: trained.processor_seconds, GPU_JOULES: trained.gpu_joules}
    registry.tag_run(run_id, {tag: f"{found:.3f}" for tag, found in spent.items() if found is not None})
    log_url = files.write_text(work_url, run_id, "training.log", text=trained.log)
    fault = trained.fault
    if fault:
        mlflow_run.fail(run_id, fault.what)
        raise (ProgramBroken if fault.for_good else TrainingFailed)(
            f"Training {spec.name} {fault.what} (MLflow run {run_id}). The whole log is {log_url}; "
            f"its end:\n{trained.tail}",
            run_id=run_id,
            log_url=log_url,
            exit_code=trained.exit_code,
        )
    files_url = _keep(trained.output, str(files.at(work_url, run_id, "model")))
    shutil.rmtree(scratch)
    return files_url


def _keep(output: Path, url: str) -> str:
    for path in program.files_to_serve(output):
        files.put(path, files.at(url, *path.relative_to(output).parts))
    return url
