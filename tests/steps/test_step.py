"""The stage contract: from request file to result file, or to a readable error and an exit code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import RetrainTicket, StepContext
from tasks.errors import EXIT_INVALID, InvalidRequest
from tasks.spec import PipelineSpec
from tasks.step import execute, read_request
from tasks.verbs import VERBS
from tests.conftest import PROJECT

CONTEXT = StepContext(actor="test", step_key="test", work_url="unused")


@pytest.fixture
def request_document(tmp_path: Path) -> dict[str, Any]:
    spec = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
    request = VERBS["retrain"].request.model_validate(
        {"context": CONTEXT.model_dump(), "spec": spec.model_dump()}
    )
    return request.model_dump(mode="json")


def files(folder: Path, document: Any) -> tuple[Path, Path, Path]:
    request, result = folder / "request.json", folder / "result.json"
    request.write_text(document if isinstance(document, str) else json.dumps(document))
    return request, result, folder / "result.json.error.json"


def test_a_step_runs_from_file_to_file_in_its_own_process(
    home: Path, tmp_path: Path, request_document: dict[str, Any]
) -> None:
    request, result, _ = files(tmp_path, request_document)

    done = subprocess.run(
        [sys.executable, "-m", "tasks", "retrain", "--request", str(request), "--result", str(result)],
        cwd=PROJECT,
        check=False,
    )

    assert done.returncode == 0
    assert RetrainTicket.model_validate_json(result.read_text()).granted


@pytest.mark.parametrize(
    ("verb", "change", "named"),
    [
        ("dance", {}, "'dance' is not a verb. Known verbs: accept, attest, calibrate, champion"),
        ("retrain", {"surprise": 1}, "surprise"),
        ("retrain", {"reason": 7}, "reason"),
        ("retrain", {"context": None}, "context"),
        ("retrain", {"contract_version": 2}, "contract_version"),
    ],
)
def test_a_request_that_breaks_its_contract_is_refused_by_name(
    request_document: dict[str, Any], verb: str, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request(verb, json.dumps({**request_document, **change}))

    assert named in str(refused.value)


def test_a_refused_request_leaves_the_reason_beside_the_result_and_a_final_exit_code(tmp_path: Path) -> None:
    request, result, error = files(tmp_path, "{not json")

    code = execute("retrain", str(request), str(result))

    assert code == EXIT_INVALID
    assert not result.exists()
    assert json.loads(error.read_text())["error"] == "InvalidRequest"


def test_every_contract_is_frozen_versioned_and_refuses_unknown_fields() -> None:
    for request, result in ((verb.request, verb.result) for verb in VERBS.values()):
        for contract in (request, result):
            assert contract.model_config["frozen"]
            assert contract.model_config["extra"] == "forbid"
            assert "contract_version" in contract.model_fields
