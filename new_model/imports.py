"""Whether what a model's programs import is where they run. Nothing of it is imported to find out.

Only what is sure is told: imports that a module does on every way through it. A program that changes its own
path is left alone.
"""

import ast
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.training.mlproject import command_of

ASK = """
import importlib.util, sys

def is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return True

print(*(name for name in sys.argv[1:] if not is_there(name)))
"""
PROGRAM = re.compile(r"(?<![\w./-])([\w./-]+\.py)\b")
SEARCHED = re.compile(r"\bPYTHONPATH=(\S+)")
ANOTHER_FOLDER = re.compile(r"\bcd\s")
SERVED_IN = {"torchserve": ("serving", "TorchServe"), "oip": ("inference", "the inference server")}
"""The environment in which each backend runs handlers, and its name."""

OURS = {"perennial_handler", "perennial_training"}
"""What the archive and MLproject's PYTHONPATH bring."""


@dataclass(frozen=True)
class Import:
    """The name of a module's first part, and where it is imported."""

    name: str
    path: Path
    line: int


def faults_of_imports(spec: PipelineSpec) -> Iterator[str]:
    """The imports of the training program and of the handler, and of their own modules, that would fail."""
    folder = settings().models / spec.name
    steps = settings().python(spec.name)
    environment, server = SERVED_IN[spec.serving.backend]
    serving = settings().environments / environment / "bin" / "python"
    programs, searched = _training(spec, folder)
    imports = [found for name in programs for found in _imports(folder, name, searched)]
    for found in _missing(imports, steps):
        yield (
            f"{found.path}:{found.line} imports {found.name}, which is neither in the model's folder nor in "
            f"the environment of its steps. Correct the name, or add its package to "
            f"{folder / 'requirements.txt'}, with hashes."
        )
    imports = _imports(folder, spec.serving.handler, [])
    lacking = {"the model's steps": _missing(imports, steps), server: _missing(imports, serving)}
    yield from _faults_of_handler(imports, lacking)


def _faults_of_handler(imports: list[Import], lacking: Mapping[str, Collection[Import]]) -> Iterator[str]:
    """A handler scores the candidate in a step, and then serves it in the model's backend."""
    for found in imports:
        if places := [place for place, missing in lacking.items() if found in missing]:
            yield (
                f"{found.path}:{found.line} imports {found.name}, which the environment of "
                f"{' and that of '.join(places)} lacks, where the handler runs. Correct the name, or do "
                "without it there: docs/bring-your-model.md says what a handler may import."
            )


def _training(spec: PipelineSpec, folder: Path) -> tuple[list[str], list[Path]]:
    """The programs of the model that MLproject starts, and the folders beside its own that they search."""
    try:
        command = command_of(spec, settings().models)
    except InvalidProject:
        return [], []
    if ANOTHER_FOLDER.search(command):
        return [], []
    searched = [folder / place for found in SEARCHED.findall(command) for place in found.split(":")]
    return PROGRAM.findall(command), searched


def _imports(folder: Path, program: str, searched: list[Path]) -> list[Import]:
    """What a program and the modules of its folder that it imports want from elsewhere."""
    wanted: list[Import] = []
    pending, seen = [folder / program], {folder / program}
    while pending:
        path = pending.pop()
        found = _of_file(path)
        if found is None:
            return []
        for each in found:
            beside = folder / f"{each.name}.py"
            if each.name not in OURS and not any(_holds(at, each.name) for at in (folder, *searched)):
                wanted.append(each)
            elif beside.is_file() and beside not in seen:
                seen.add(beside)
                pending.append(beside)
    return sorted(wanted, key=lambda each: (each.path, each.line))


def _of_file(path: Path) -> list[Import] | None:
    """What a file imports whenever it is imported itself; None where that cannot be told."""
    try:
        text = path.read_bytes()
        tree = ast.parse(text, str(path))
    except (OSError, SyntaxError, ValueError):
        return []
    if b"sys.path" in text:
        return None
    found = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            found += [Import(alias.name.partition(".")[0], path, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.append(Import(node.module.partition(".")[0], path, node.lineno))
    return found


def _holds(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


def _missing(imports: list[Import], python: Path) -> list[Import]:
    """Those that an interpreter does not find; none where there is no such interpreter here."""
    names = sorted({each.name for each in imports})
    if not names or not python.exists():
        return []
    command = [str(python), "-I", "-c", ASK, *names]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    missing = asked.stdout.split() if asked.returncode == 0 else []
    return [each for each in imports if each.name in missing]
