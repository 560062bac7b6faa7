"""Import once, in a process that forks, what each of its forks would import anew.

Airflow reads every DAG file in a fork of its own, again and again, and runs each task in one. It imports
Airflow's own modules before it forks; of ours it does not know.
"""

import ast
import importlib
import logging
from collections.abc import Iterator
from pathlib import Path

from tasks.settings import PROJECT

OURS = frozenset({"plugins", "tasks"})

log = logging.getLogger(__name__)


def preload() -> None:
    """Import our modules that the DAG files import, with all that those import.

    What cannot be imported is logged and left to the DAG files that need it: Airflow's pages show it.
    """
    for name in modules_of(PROJECT / "dags"):
        try:
            importlib.import_module(name)
        except Exception:
            log.exception("%s cannot be imported.", name)


def modules_of(dags: Path) -> list[str]:
    """The names of our modules that the DAG files in this folder import; none of a file that is no Python."""
    return sorted({name for file in dags.glob("*.py") for name in _imported(file)})


def _imported(file: Path) -> Iterator[str]:
    try:
        program = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):  # Airflow's pages show it
        return
    for node in ast.walk(program):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
            yield node.module
