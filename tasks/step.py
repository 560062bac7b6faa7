"""Run one step: `python -m tasks <verb> --request URL
--result URL`; both are files of the store, local or not.

The result is whole or not there at all: a local file is written beside its final name and moved there, an
object store puts whole objects. A step that fails writes `<result>.error.json` with the sentence and its
evidence, and ends with the error's exit code.
"""

import json
import traceback
from typing import Any

from pydantic import ValidationError

from tasks.contracts import Contract, Request
from tasks.errors import EXIT_FAULT, InvalidRequest, PerennialError
from tasks.runtime import limits
from tasks.spec import faults_of
from tasks.stores import files, google
from tasks.stores.faults import explain
from tasks.verbs import VERBS

ERROR_SUFFIX = ".error.json"


def read_request(verb: str, text: str) -> Request:
    """Parse the request of a verb.

    Raises:
        InvalidRequest: The verb is unknown, or the request breaks its contract; the message names each field.
    """
    if verb not in VERBS:
        raise InvalidRequest(f"{verb!r} is not a verb. Known verbs: {', '.join(sorted(VERBS))}.")
    try:
        return VERBS[verb].request.model_validate_json(text)
    except ValidationError as error:
        faults = faults_of(error)
        raise InvalidRequest(
            f"The request of {verb!r} breaks its contract: {'; '.join(faults)}.", faults=faults
        ) from error


def read_result(verb: str, text: str) -> Contract:
    """Parse a result file and check it against the verb's contract."""
    return VERBS[verb].result.model_validate_json(text)


def run(verb: str, request: Request) -> Contract:
    """Do it, by the verb's function."""
    return VERBS[verb].function()(request)


def execute(verb: str, request_url: str, result_url: str) -> int:
    """Run a step from file to file and return its exit code."""
    google.sign_in()
    error_url, killed_before = result_url + ERROR_SUFFIX, limits.kills()
    files.remove(files.at(error_url))
    try:
        result = run(verb, read_request(verb, files.at(request_url).read_text(encoding="utf-8")))
        files.write_text(result_url, text=result.model_dump_json(indent=2))
    except Exception as error:  # noqa: BLE001 - the boundary of the process: every fault becomes a file and an exit code
        told = limits.explain(error, verb, killed_before)
        return _fail(explain(told) or told, error_url)
    return 0


def refuse(error: PerennialError, result_url: str) -> int:
    """End a step that cannot begin: write its error file and return its exit code."""
    google.sign_in()
    return _fail(error, result_url + ERROR_SUFFIX)


def _fail(error: Exception, error_url: str) -> int:
    if isinstance(error, PerennialError):
        print(f"{type(error).__name__}: {error}", flush=True)
    else:
        traceback.print_exception(error)
    files.write_text(error_url, text=error_document(error))
    return exit_code(error)


def exit_code(error: Exception) -> int:
    return error.exit_code if isinstance(error, PerennialError) else EXIT_FAULT


def error_document(error: Exception) -> str:
    evidence: dict[str, Any] = getattr(error, "evidence", {})
    document = {
        "error": type(error).__name__,
        "message": str(error),
        "exit_code": exit_code(error),
        "evidence": evidence,
    }
    return json.dumps(document, default=str, indent=2)
