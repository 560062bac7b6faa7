"""The files of a step between Airflow's tries of it: its folder,
its request, its result, and whether Airflow heard of that.

The folder lies in the store, on this machine or not. A try that ends well leaves `result.json`, and
`result.heard` once the operator has taken it. A result without that mark was left by a worker that died in
between; the next try takes it, if it is asked the same. A task that is cleared runs again, because its result
was heard. `holder` names the try that follows the step: one that Airflow has given up and that does not know
it yet must not end what its successor follows.
"""

import hashlib
import json
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from upath import UPath

from tasks.contracts import Request, StepContext
from tasks.errors import EXIT_FAULT
from tasks.settings import settings
from tasks.step import ERROR_SUFFIX, read_result
from tasks.stores.files import at, remove, write_whole
from tasks.training.live import FILE as CURVES

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_NAME = 100


@dataclass(frozen=True)
class Files:
    """Where one step's request and result lie, and what it says of itself meanwhile."""

    request: UPath
    result: UPath
    error: UPath
    heard: UPath
    holder: UPath
    curves: UPath

    @classmethod
    def of(cls, folder: str) -> "Files":
        names = (
            "request.json",
            "result.json",
            f"result.json{ERROR_SUFFIX}",
            "result.heard",
            "holder",
            CURVES,
        )
        return cls(*(at(folder, name) for name in names))


def context_of(ti: Any, person: str | None = None) -> StepContext:
    """Who asks, and the folder of the task: the same for each of its tries.

    Args:
        ti: Airflow's running task instance.
        person: The user of Airflow who started the run; None where nobody did.
    """
    mapped = [str(ti.map_index)] if ti.map_index >= 0 else []
    key = "/".join([ti.dag_id, ti.run_id, ti.task_id, *mapped])
    folder = at(
        settings().runs, folder_name(ti.dag_id), folder_name(ti.run_id), folder_name(ti.task_id), *mapped
    )
    # A run of a versioned bundle is pinned to its commit; `dag.test()` knows no bundle.
    bundle = getattr(ti, "bundle_instance", None)
    commit = getattr(bundle, "version", None) or settings().code_commit or None
    actor = f"airflow:{key}" + (f", asked for by {person}" if person else "")
    return StepContext(actor=actor, step_key=key, work_url=str(folder), code_commit=commit)


def asking(run: "Context") -> StepContext:
    """Who asks, of a task that is at work; whoever started its run is named with it."""
    return context_of(run["ti"], run["dag_run"].triggering_user_name)


def folder_name(name: str) -> str:
    """`name` as the name of one folder, readable, and never that of another name.

    A run id may be anything that a user sends; its usual colons and plus signs would part search paths and
    URLs.
    """
    safe = re.sub(r"^\.|[^A-Za-z0-9_.-]", "-", name)[:LONGEST_NAME]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def text_of(request: Request) -> str:
    """A request as its file holds it."""
    return request.model_dump_json(indent=2)


def begin(request: Request, files: Files) -> None:
    """Lay down the request; nothing of an earlier try is left that could pass for its result."""
    for stale in (files.result, files.heard, files.error, files.curves):
        remove(stale)
    write_whole(files.request, text_of(request).encode())


def unheard(verb: str, request: Request, files: Files) -> dict[str, Any] | None:
    """The result of the same request that Airflow did not hear of; None where there is none."""
    try:
        if files.heard.exists() or files.request.read_text(encoding="utf-8") != text_of(request):
            return None
        return result(verb, files)
    except (FileNotFoundError, ValidationError):
        return None


def mark_heard(files: Files) -> None:
    """The result is about to be Airflow's."""
    write_whole(files.heard, b"")


def hold(files: Files, holder: str) -> None:
    """From now on it is this try that follows the step."""
    write_whole(files.holder, holder.encode())


def holder_of(files: Files) -> str | None:
    """The try that follows the step; None where nobody ever did."""
    try:
        return str(files.holder.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def result(verb: str, files: Files) -> dict[str, Any]:
    """The result, checked against its contract, as JSON values.

    Raises:
        FileNotFoundError: There is none.
        ValidationError: It breaks its contract.
    """
    document: dict[str, Any] = json.loads(
        read_result(verb, files.result.read_text(encoding="utf-8")).model_dump_json()
    )
    return document


def exit_code_of(files: Files) -> int:
    """The exit code of a step that ended while nobody looked, by the files that it left."""
    if files.result.exists():
        return 0
    code = _error(files).get("exit_code")
    return code if isinstance(code, int) and code else EXIT_FAULT


def evidence(files: Files) -> dict[str, Any]:
    """What a step's failure rests on; empty where it was killed before it could say."""
    found = _error(files).get("evidence")
    return found if isinstance(found, dict) else {}


def why(verb: str, code: int, files: Files, place_says: str | None = None) -> str:
    """Why a step failed, as a sentence for the task's log.

    Args:
        place_says: What its runner knows of the end; it counts where the step itself could say nothing.
    """
    if message := _error(files).get("message") or place_says:
        return str(message)
    if code < 0:
        by = f"signal {-code}, {signal.strsignal(-code)}"
        return (
            f"{verb!r} was killed ({by}). If nobody stopped it, look whether the machine ran out of memory."
        )
    return f"{verb!r} ended with exit code {code} and no explanation; what it printed last is above."


def _error(files: Files) -> dict[str, Any]:
    try:
        document = json.loads(files.error.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
