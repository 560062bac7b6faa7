"""The code of a training, kept with its run: the files of the model's folder as they were when it ran.

Not by the commit: an image is no clone, and a tree with changes has no commit that says what ran.
"""

import ast
from pathlib import Path

from tasks.contracts import TrainingRun
from tasks.evaluation.preparation.inputs import DECLARED
from tasks.stores import files

CODE = "code"
HELPER = "perennial_training.py"
EVENT_FILE = ".tfevents."
"""In the names of TensorBoard's logs, which a program may write beside itself."""
LARGEST_BYTES = 1 << 20
"""Larger files beside a program are data, and its imports do not need them."""


def keep_code(models: Path, model: str, url: str) -> None:
    """Copy a model's program, and the helper that lies beside its folder, to the run's folder `url`."""
    for path in sources(models, model):
        files.put(path, files.at(url, CODE, *path.relative_to(models).parts))


def sources(models: Path, model: str) -> list[Path]:
    """The files of a model's folder that its code is, and the helper beside it."""
    inside = [path for path in sorted((models / model).rglob("*")) if _is_source(path, models)]
    helper = models / HELPER
    return [*inside, helper] if helper.is_file() else inside


def _is_source(path: Path, models: Path) -> bool:
    hidden = any(part.startswith((".", "__pycache__", "mlruns")) for part in path.relative_to(models).parts)
    return (
        not hidden and EVENT_FILE not in path.name and path.is_file() and path.stat().st_size <= LARGEST_BYTES
    )


def fetch_code(run: TrainingRun, to: Path) -> Path | None:
    """Copy the code that a run was trained with to the folder `to`; None where it was not kept, by an earlier
    Perennial.
    """
    source = files.at(run.model_files_url).parent / CODE
    kept = [path for path in source.rglob("*") if path.is_file()] if source.exists() else []
    for path in kept:
        files.fetch(str(path), to.joinpath(*path.relative_to(source).parts))
    return to if kept else None


def declares_inputs(program: Path) -> bool:
    """Whether a training program has the function; only its text is read."""
    if not program.is_file():
        return False
    body = ast.parse(program.read_bytes(), str(program)).body
    return any(isinstance(node, ast.FunctionDef) and node.name == DECLARED for node in body)
