"""What a training reads of its model's folder, as hashes: so that two trainings' code can be compared.

By content, not by the commit: an image is no clone, and a commit of anything else changes no model. What
judges, watches or explains a model, but trains none, is left out: its rules in pipeline.yaml, its tests of
behaviour, its documents.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks.contracts import TrainingRun
from tasks.evaluation.preparation.kept_code import fetch_code, sources

SPEC = "pipeline.yaml"
NOT_READ = {"behaviour.yaml"}
NOT_TRAINED_ON = {"minimum_rows", "slice_by", "feedback_query", "label_check", "door"}
"""Of pipeline.yaml's `data`: when a training starts, how it is judged, and how its labels come."""


def code_here(models: Path, model: str) -> dict[str, str]:
    """The SHA-256 of each file of the model's folder, and of the helper beside it, that a training reads; of
    pipeline.yaml, of what it says of the task, the data and the entry point.
    """
    read = [path for path in sources(models, model) if path.name not in NOT_READ and path.suffix != ".md"]
    return {str(path.relative_to(models)): _sha256(path, models / model / SPEC) for path in read}


def code_of(run: TrainingRun) -> dict[str, str] | None:
    """The same of the code that a run was trained with; None where it was not kept."""
    with tempfile.TemporaryDirectory(prefix="perennial-code-") as name:
        kept = fetch_code(run, Path(name))
        return None if kept is None else code_here(kept, run.model)


def digest_of(code: Mapping[str, str]) -> str:
    """One SHA-256 of all parts."""
    return hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path, spec: Path) -> str:
    text = path.read_bytes()
    return hashlib.sha256(_trained_on(text) if path == spec else text).hexdigest()


def _trained_on(text: bytes) -> bytes:
    """What a training reads of pipeline.yaml, whatever its comments and the order of its fields are."""
    said: dict[str, Any] = yaml.safe_load(text)
    data = {name: value for name, value in said["data"].items() if name not in NOT_TRAINED_ON}
    entry_point = said.get("training", {}).get("entry_point", "main")
    return json.dumps([said.get("task"), data, entry_point], sort_keys=True, default=str).encode()
