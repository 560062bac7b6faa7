"""Run one step: `python -m tasks <verb> --request request.json --result result.json`.

The result is written beside its final name and moved there, so that a file that exists is whole. A step that fails writes
`<result>.error.json` with the sentence and its evidence, and ends with the error's exit code.
"""

import importlib
import json
import os
import traceback
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.contracts import Contract
from tasks.errors import EXIT_FAULT, InvalidRequest, PerennialError
from tasks.requests import VERBS, Request
from tasks.spec import faults_of


def read_request(verb: str, text: str) -> Request:
    """Parse the request of a verb.

    Raises:
        InvalidRequest: The verb is unknown, or the request breaks its contract; the message names each field.
    """
    if verb not in VERBS:
        raise InvalidRequest(f"{verb!r} is not a verb. Known verbs: {', '.join(sorted(VERBS))}.")
    try:
        return VERBS[verb][0].model_validate_json(text)
    except ValidationError as error:
        faults = faults_of(error)
        raise InvalidRequest(f"The request of {verb!r} breaks its contract: {'; '.join(faults)}.", faults=faults) from error


def read_result(verb: str, text: str) -> Contract:
    """Parse a result file and check it against the verb's contract."""
    return VERBS[verb][1].model_validate_json(text)


def run(verb: str, request: Request) -> Contract:
    """Do it: each verb is the function of that name in the module of that name."""
    module = importlib.import_module(f"tasks.{verb}")
    result: Contract = getattr(module, verb)(request)
    return result


def execute(verb: str, request_file: Path, result_file: Path) -> int:
    """Run a step from file to file and return its exit code."""
    error_file = result_file.with_name(result_file.name + ".error.json")
    error_file.unlink(missing_ok=True)
    try:
        result = run(verb, read_request(verb, request_file.read_text(encoding="utf-8")))
    except PerennialError as error:
        write_whole(error_file, error_document(error))
        print(f"{type(error).__name__}: {error}", flush=True)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary of the process: every fault becomes a file and an exit code
        traceback.print_exc()
        write_whole(error_file, error_document(error))
        return EXIT_FAULT
    write_whole(result_file, result.model_dump_json(indent=2))
    return 0


def error_document(error: Exception) -> str:
    evidence: dict[str, Any] = getattr(error, "evidence", {})
    return json.dumps({"error": type(error).__name__, "message": str(error), "evidence": evidence}, default=str, indent=2)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
