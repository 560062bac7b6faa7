"""Train a candidate: run the model's MLflow Project on the
snapshot, and keep with the run everything that it came from.

The run carries the step's key from its first moment. A later try of the same step takes a complete run of
the same rows and parameters as it is, and marks every incomplete one KILLED, so that a training that was
killed anywhere leaves nothing half-true behind.
"""

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tasks.contracts import TrainedFor, TrainingRun, TrainRequest
from tasks.errors import FrozenSetMismatch, ProgramBroken, TrainingFailed
from tasks.runtime import child, code_version
from tasks.settings import settings
from tasks.stores import files
from tasks.stores.parts import fetch_part
from tasks.training import mlflow_run
from tasks.training.mlflow_run import Values
from tasks.training.mlproject import check_parameters, parameters
from tasks.training.preflight import require_commit

PROGRAM_S_OWN = {
    "AssertionError",
    "AttributeError",
    "ImportError",
    "IndentationError",
    "IndexError",
    "KeyError",
    "ModuleNotFoundError",
    "NameError",
    "NotImplementedError",
    "SyntaxError",
    "TypeError",
    "UnboundLocalError",
    "ValueError",
    "ZeroDivisionError",
}
"""Exceptions of Python that say something of the program, which the next try would run as it is.

One of a library has its module before its name, and may be of the network.
"""


@dataclass(frozen=True)
class Fault:
    """Why there is no model, and whether the next try would end in the same way."""

    what: str
    for_good: bool = False


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
    mlflow_run.complete(run, request)
    return run


def _run_project(run_id: str, experiment_id: str, request: TrainRequest, values: Values) -> str:
    """Run the project to its end, and return where the files for serving lie."""
    timeout_seconds, work_url = request.spec.training.timeout_seconds, request.context.work_url
    scratch = _scratch(request)
    ended = child.run(
        ["bash", "-c", _command(request, values, scratch)],
        log=scratch / "training.log",
        timeout_seconds=timeout_seconds,
        environment=_environment(request, scratch, run_id, experiment_id),
        folder=settings().models / request.spec.name,
    )
    log = (scratch / "training.log").read_text(encoding="utf-8")
    log_url = files.write_text(work_url, run_id, "training.log", text=log)
    fault = _fault(ended, scratch / "output", timeout_seconds)
    if fault:
        mlflow_run.fail(run_id, fault.what)
        raise (ProgramBroken if fault.for_good else TrainingFailed)(
            f"Training {request.spec.name} {fault.what} (MLflow run {run_id}). The whole log is {log_url}; "
            f"its end:\n{ended.tail}",
            run_id=run_id,
            log_url=log_url,
            exit_code=ended.code,
        )
    files_url = _keep(scratch / "output", str(files.at(work_url, run_id, "model")))
    shutil.rmtree(scratch)
    return files_url


def _scratch(request: TrainRequest) -> Path:
    """An empty folder with the two parts that training may see;
    the same for every try, so that one sweeps up the last.
    """
    folder = settings().home / "scratch" / hashlib.sha256(request.context.step_key.encode()).hexdigest()[:16]
    if folder.exists():
        shutil.rmtree(folder)
    for name in ("output", "tmp"):
        (folder / name).mkdir(parents=True)
    fetch_part(request.snapshot.train, folder / "data" / "train.parquet")
    fetch_part(request.snapshot.validation, folder / "data" / "validation.parquet")
    return folder


def _command(request: TrainRequest, values: Values, scratch: Path) -> str:
    """MLproject's command with its values, as `mlflow run --env-manager local` would run it.

    `mlflow run` itself is one more process, which takes seconds to import MLflow once more only to make this
    command.
    """
    from mlflow.projects.utils import load_project

    entry_point = load_project(str(settings().models / request.spec.name)).get_entry_point(
        request.spec.training.entry_point
    )
    given = {**values, "data": str(scratch / "data"), "output": str(scratch / "output")}
    return str(entry_point.compute_command(given, str(scratch / "tmp")))


def _environment(request: TrainRequest, scratch: Path, run_id: str, experiment_id: str) -> dict[str, str]:
    """`python` in MLproject's command is this environment's; temporary files go where the next try sweeps.

    A training that asks for no GPU sees none, as in a container: the run says `cpu` of it.
    """
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if request.spec.resources.gpus == "none" else {}
    return {
        **hidden,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "TMPDIR": str(scratch / "tmp"),
        "MLFLOW_TRACKING_URI": settings().mlflow_url,
        "MLFLOW_RUN_ID": run_id,
        "MLFLOW_EXPERIMENT_ID": experiment_id,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
    }


def _fault(ended: child.Ended, output: Path, timeout_seconds: float) -> Fault | None:
    if ended.timed_out:
        return Fault(f"took longer than training.timeout_seconds, {timeout_seconds:g} s, and was stopped")
    if ended.code != 0:
        last = ended.tail.rpartition("\n")[-1]
        if last.partition(":")[0] in PROGRAM_S_OWN:
            return Fault(f"ended with code {ended.code}: {last}", for_good=True)
        return Fault(f"ended with code {ended.code}")
    if not any(path.is_file() for path in output.rglob("*")):
        return Fault("ended well but wrote no file to the folder of its parameter `output`", for_good=True)
    return None


def _keep(output: Path, url: str) -> str:
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        files.put(path, files.at(url, *path.relative_to(output).parts))
    return url
