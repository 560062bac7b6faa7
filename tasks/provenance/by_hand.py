"""Reproduce a version on this machine, for a person: nothing but the stores and a clone is needed."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from uuid import uuid4

from tasks import errors
from tasks.contracts import AttestRequest, ReproduceRequest, Reproduction, StepContext
from tasks.errors import PerennialError
from tasks.provenance.attest import attest
from tasks.runtime import child
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec
from tasks.stores import files

ERROR_SUFFIX = ".error.json"
BESIDE_TRAINING_SECONDS = 3600


def request_of(
    model: str, actor: str, version: str | None, code: Literal["recorded", "here"]
) -> ReproduceRequest:
    """What a person asks for, in a folder of the store of its own.

    Raises:
        InvalidProject: The model's pipeline.yaml is wrong.
    """
    key = f"perennial/{uuid4().hex}/reproduce"
    work_url = str(files.at(settings().runs, *key.split("/")))
    return ReproduceRequest(
        context=StepContext(actor=actor, step_key=key, work_url=work_url),
        spec=PipelineSpec.load(settings().models / model / "pipeline.yaml"),
        version=version,
        code=code,
    )


def reproduce_here(request: ReproduceRequest) -> Reproduction:
    """Run the step `reproduce` in a process of its own, in the model's environment, to its end.

    Raises:
        PerennialError: It failed; of the class and with the sentence that it ended with.
    """
    with TemporaryDirectory(prefix="perennial-by-hand-") as name:
        asked, result = Path(name, "request.json"), Path(name, "result.json")
        asked.write_text(request.model_dump_json(), encoding="utf-8")
        command = [sys.executable, "-m", "tasks", "reproduce", "--request", str(asked)]
        ended = child.run(
            [*command, "--result", str(result), "--model", request.spec.name],
            log=Path(name, "step.log"),
            timeout_seconds=request.spec.training.timeout_seconds + BESIDE_TRAINING_SECONDS,
            folder=PROJECT,
        )
        if ended.code == 0:
            return Reproduction.model_validate_json(result.read_text(encoding="utf-8"))
        raise _failure(Path(f"{result}{ERROR_SUFFIX}"), ended)


def attest_here(found: Reproduction, request: ReproduceRequest) -> Reproduction:
    """Keep it in the ledger of the settings. Raises as `attest`."""
    return attest(AttestRequest(context=request.context, reproduction=found))


def _failure(file: Path, ended: child.Ended) -> PerennialError:
    if not file.exists():
        end = "took too long" if ended.timed_out else f"ended with code {ended.code}"
        return PerennialError(f"The step reproduce {end}. The end of its output:\n{ended.tail}")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    known: type[PerennialError] = getattr(errors, document["error"], PerennialError)
    return known(document["message"], **document["evidence"])
