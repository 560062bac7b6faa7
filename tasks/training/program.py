"""Run a model's training program: MLproject's command in a process of its own, which sees two parts and
writes one folder.

A training that is run again runs here too, with the code, the values and the threads of the first.
"""

import hashlib
import os
import resource
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.contracts import DataSnapshot
from tasks.evaluation.preparation.kept_code import EVENT_FILE
from tasks.runtime import child
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores.parts import fetch_part
from tasks.training import gpu_energy

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

DETERMINISTIC = {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""What has to be said before the program starts: the order of Python's sets, and of cuBLAS's sums.

Source: https://pytorch.org/docs/stable/notes/randomness.html
"""


@dataclass(frozen=True)
class Record:
    """The MLflow run that the program writes to."""

    run_id: str
    experiment_id: str


@dataclass(frozen=True)
class Fault:
    """Why there is no model, and whether the next try would end in the same way."""

    what: str
    for_good: bool = False


@dataclass(frozen=True)
class Trained:
    """What a program left behind.

    Attributes:
        output: The local folder of the files that serving needs.
        log: Everything that the program said.
        tail: The end of that.
        fault: None where all went well.
        processor_seconds: Of all its processes together, as the kernel counted them.
        gpu_joules: That the GPUs drew meanwhile, as they counted them; None where it asks for none, or none
            counts.
    """

    output: Path
    log: str
    tail: str
    fault: Fault | None
    exit_code: int
    processor_seconds: float
    gpu_joules: float | None


def make_scratch(step_key: str, snapshot: DataSnapshot) -> Path:
    """An empty folder with the two parts that training may see;
    the same for every try, so that one sweeps up the last.

    Raises:
        FrozenSetMismatch: A part does not hold the rows that were frozen.
    """
    folder = settings().home / "scratch" / hashlib.sha256(step_key.encode()).hexdigest()[:16]
    if folder.exists():
        shutil.rmtree(folder)
    for name in ("output", "tmp"):
        (folder / name).mkdir(parents=True)
    fetch_part(snapshot.train, folder / "data" / "train.parquet")
    fetch_part(snapshot.validation, folder / "data" / "validation.parquet")
    return folder


def run(
    spec: PipelineSpec,
    values: Mapping[str, str | int | float],
    record: Record,
    scratch: Path,
    *,
    models: Path,
    variables: Mapping[str, str] | None = None,
) -> Trained:
    """Run the program to its end.

    Args:
        values: Of MLproject's parameters, `data` and `output` left out.
        scratch: As `make_scratch` made it.
        models: The folder that the model's own lies in.
        variables: Of its environment, beside ours.

    Raises:
        OSError: Its log cannot be written.
    """
    timeout_seconds = spec.training.timeout_seconds
    processor_before, gpus_before = _processor_seconds(), _gpu_joules(spec)
    ended = child.run(
        ["bash", "-c", _command(spec, values, scratch, models)],
        log=scratch / "training.log",
        timeout_seconds=timeout_seconds,
        environment={**_environment(spec, record, scratch), **(variables or {})},
        folder=models / spec.name,
    )
    gpus_after = _gpu_joules(spec)
    return Trained(
        output=scratch / "output",
        log=(scratch / "training.log").read_text(encoding="utf-8"),
        tail=ended.tail,
        fault=_fault(ended, scratch / "output", timeout_seconds),
        exit_code=ended.code,
        processor_seconds=_processor_seconds() - processor_before,
        gpu_joules=None if gpus_before is None or gpus_after is None else gpus_after - gpus_before,
    )


def _processor_seconds() -> float:
    """Of every child of this process that has ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _gpu_joules(spec: PipelineSpec) -> float | None:
    return None if spec.resources.gpus == "none" else gpu_energy.joules()


def files_to_serve(output: Path) -> list[Path]:
    """What a program wrote for serving; a TensorBoard log among it is the run's."""
    written = sorted(path for path in output.rglob("*") if path.is_file())
    return [path for path in written if EVENT_FILE not in path.name]


def _command(spec: PipelineSpec, values: Mapping[str, str | int | float], scratch: Path, models: Path) -> str:
    """MLproject's command with its values, as `mlflow run --env-manager local` would run it.

    `mlflow run` itself is one more process, which takes seconds to import MLflow once more only to make this
    command.
    """
    from mlflow.projects.utils import load_project

    entry_point = load_project(str(models / spec.name)).get_entry_point(spec.training.entry_point)
    given = {**values, "data": str(scratch / "data"), "output": str(scratch / "output")}
    return str(entry_point.compute_command(given, str(scratch / "tmp")))


def _environment(spec: PipelineSpec, record: Record, scratch: Path) -> dict[str, str]:
    """`python` in MLproject's command is this environment's; temporary files go where the next try sweeps.

    A training that asks for no GPU sees none, as in a container: the run says `cpu` of it.
    """
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if spec.resources.gpus == "none" else {}
    return {
        **DETERMINISTIC,
        **hidden,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "TMPDIR": str(scratch / "tmp"),
        "MLFLOW_TRACKING_URI": settings().mlflow_url,
        "MLFLOW_RUN_ID": record.run_id,
        "MLFLOW_EXPERIMENT_ID": record.experiment_id,
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
    if not files_to_serve(output):
        return Fault("ended well but wrote no file to the folder of its parameter `output`", for_good=True)
    return None
