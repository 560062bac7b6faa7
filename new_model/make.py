"""Lay a new model's folder and suite beside the others'.

The template's Python files are those of the new model as they stand; only what names the model or its task is
rendered.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import jinja2
from pydantic import TypeAdapter, ValidationError

from tasks.errors import InvalidRequest
from tasks.settings import settings
from tasks.spec import read_specs
from tasks.spec.base import Name
from tasks.spec.metrics import Task

TEMPLATE = Path(__file__).parent / "template"
TASKS: tuple[str, ...] = get_args(Task)


@dataclass(frozen=True)
class Made:
    """Where the new model's folder and its suite lie."""

    folder: Path
    suite: Path


def make(name: str, task: str) -> Made:
    """Make `models/<name>/`, whole or not at all, and `great_expectations/expectations/<name>.json`.

    Args:
        task: What the model predicts.

    Raises:
        InvalidRequest: The name cannot be a model's, or is taken by a folder, a suite or a table; there is no
            such task.
    """
    made = Made(settings().models / name, settings().suites / "expectations" / f"{name}.json")
    _require_name(name)
    if task not in TASKS:
        raise InvalidRequest(f"{task!r} is no task. Say TASK={' or TASK='.join(TASKS)}.")
    _require_free(name, made)
    with tempfile.TemporaryDirectory(dir=made.folder.parent, prefix=".new-model-") as temporary:
        folder = _render(Path(temporary), name=name, task=task)
        shutil.move(folder / "suite.json", made.suite)
        folder.rename(made.folder)
    return made


def _require_name(name: str) -> None:
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise InvalidRequest(
            f"{name!r} cannot be a model's name. Use at most 63 lower-case letters, digits and underscores, "
            "the first a letter, for example NAME=churn_risk."
        ) from error
    if "__" in name:
        raise InvalidRequest(
            f"{name!r} has two underscores in a row, which part a model's name from that of its own tables "
            "(churn_risk__predictions). Use one."
        )


def _require_free(name: str, made: Made) -> None:
    for taken in (made.folder, made.suite):
        if taken.exists():
            raise InvalidRequest(f"{taken} is there already. Choose another NAME, or remove it first.")
    owners = [spec.name for spec in read_specs(settings().models)[0] if spec.data.table == name]
    if owners:
        raise InvalidRequest(
            f"{name!r} is the table of the model {owners[0]}, and the new model's table would be called the "
            "same. Choose another NAME."
        )


def _render(parent: Path, *, name: str, task: str) -> Path:
    """The folder as it will be, with the suite still in it."""
    folder = shutil.copytree(TEMPLATE, parent / name, ignore=shutil.ignore_patterns("__pycache__", "labels"))
    shutil.copy(TEMPLATE / "labels" / f"{task}.py", folder / "labels.py")
    engine = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True, autoescape=True
    )
    for template in sorted(folder.glob("*.j2")):
        text = engine.from_string(template.read_text(encoding="utf-8")).render(name=name, task=task)
        template.with_suffix("").write_text(text, encoding="utf-8")
        template.unlink()
    return folder
