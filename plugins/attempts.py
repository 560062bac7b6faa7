"""The files of a step between Airflow's tries of it: its folder, its request, its result, and whether Airflow heard of that.

A try that ends well leaves `result.json`, and `result.heard` once the operator has taken it. A result without that mark was
left by a worker that died in between; the next try takes it, if it is asked the same. A task that is cleared runs again,
because its result was heard.
"""

import hashlib
import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.requests import Request, StepContext
from tasks.settings import settings
from tasks.step import read_result, write_whole
from tasks.store import at

LONGEST_NAME = 100


@dataclass(frozen=True)
class Files:
    """Where one step's request and result lie."""

    request: Path
    result: Path
    error: Path
    heard: Path

    @classmethod
    def of(cls, folder: Path) -> "Files":
        names = ("request.json", "result.json", "result.json.error.json", "result.heard")
        return cls(*(folder / name for name in names))


def context_of(ti: Any) -> StepContext:
    """Who asks, and the folder of the task: the same for each of its tries.

    Args:
        ti: Airflow's running task instance.
    """
    mapped = [str(ti.map_index)] if ti.map_index >= 0 else []
    key = "/".join([ti.dag_id, ti.run_id, ti.task_id, *mapped])
    folder = at(settings().runs, folder_name(ti.dag_id), folder_name(ti.run_id), folder_name(ti.task_id), *mapped)
    return StepContext(actor=f"airflow:{key}", step_key=key, work_url=str(folder))


def folder_name(name: str) -> str:
    """`name` as the name of one folder, readable, and never that of another name.

    A run id may be anything that a user sends; its usual colons and plus signs would part search paths and URLs.
    """
    safe = re.sub(r"^\.|[^A-Za-z0-9_.-]", "-", name)[:LONGEST_NAME]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def begin(request: Request, folder: Path) -> Files:
    """Lay down the request; nothing of an earlier try is left that could pass for its result."""
    files = Files.of(folder)
    for stale in (files.result, files.heard, files.error):
        stale.unlink(missing_ok=True)
    write_whole(files.request, request.model_dump_json(indent=2))
    return files


def unheard(verb: str, request: Request, folder: Path) -> dict[str, Any] | None:
    """The result of the same request that Airflow did not hear of; None where there is none."""
    files = Files.of(folder)
    try:
        if files.heard.exists() or files.request.read_text(encoding="utf-8") != request.model_dump_json(indent=2):
            return None
        return result(verb, files)
    except (FileNotFoundError, ValidationError):
        return None


def mark_heard(folder: Path) -> None:
    """The result is about to be Airflow's."""
    Files.of(folder).heard.touch()


def result(verb: str, files: Files) -> dict[str, Any]:
    """The result, checked against its contract, as JSON values.

    Raises:
        FileNotFoundError: There is none.
        ValidationError: It breaks its contract.
    """
    document: dict[str, Any] = json.loads(read_result(verb, files.result.read_text(encoding="utf-8")).model_dump_json())
    return document


def evidence(files: Files) -> dict[str, Any]:
    """What a step's failure rests on; empty where it was killed before it could say."""
    found = _error(files).get("evidence")
    return found if isinstance(found, dict) else {}


def why(verb: str, code: int, files: Files) -> str:
    """Why a step failed, as a sentence for the task's log."""
    if message := _error(files).get("message"):
        return str(message)
    if code < 0:
        by = f"signal {-code}, {signal.strsignal(-code)}"
        return f"{verb!r} was killed ({by}). If nobody stopped it, look whether the machine ran out of memory."
    return f"{verb!r} ended with exit code {code} and no explanation; what it printed last is above."


def _error(files: Files) -> dict[str, Any]:
    try:
        document = json.loads(files.error.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
