"""A version of our own inference server whose input schema is changed while it serves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.contracts import Archive, DeployRequest, ModelVersion, StepContext
from tasks.errors import ServingError
from tasks.release.deploy import deploy
from tasks.serving.gateway import Gateway
from tasks.spec import PipelineSpec
from tests.services.conftest import HANDLER, Model, Platform, build_archive, new_model, promote, until
from tests.services.test_inference import stats

EXAMPLE = {"text": "example", "n": 1}
DATA = {
    "columns": {"id": "string", "at": "timestamp", "text": "string", "label": "int64", "n": "int64"},
    "features": ["text", "n"],
    "feedback_query": "SELECT prediction_id AS id, predicted_at AS at, text, n, label FROM labelled",
}


def inputs(*required: str) -> dict[str, Any]:
    properties = {"text": {"type": "string", "minLength": 1}, "n": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"input_schema": {**schema, "required": list(required)}, "input_example": EXAMPLE}


@pytest.fixture
def model(platform: Platform, settled: Path) -> Iterator[Model]:
    made = new_model(settled, data=DATA, backend="oip", **inputs("text", "n"))
    yield made
    made.remove()


@pytest.fixture
def moods(tmp_path: Path) -> Path:
    """While this file is there, the version answers otherwise than when it was judged."""
    return tmp_path / "moods"


@pytest.fixture
def version(model: Model, moods: Path) -> ModelVersion:
    said = f'"score": (9 if os.path.exists({str(moods)!r}) else len(text))'
    archive = build_archive(
        model.folder, model.name, "one", handler=HANDLER.replace('"score": len(text)', said)
    )
    return promote(model.spec, archive.model_copy(update={"input_example": EXAMPLE}))


def served(spec: PipelineSpec, version: ModelVersion) -> None:
    context = StepContext(actor="tests", step_key="deploy", work_url="unused")
    deploy(DeployRequest(spec=spec, version=version, context=context))


def changed(spec: PipelineSpec, **what: Any) -> PipelineSpec:
    return spec.model_copy(update={"serving": spec.serving.model_copy(update=what)})


def statuses(platform: Platform, model: Model, *instances: dict[str, Any]) -> set[int]:
    path = f"/v1/models/{model.name}/predict"
    return {platform.post(path, {"instances": [each]}).status_code for each in instances for _ in range(5)}


def nothing(_platform: Platform, _archive: Archive) -> None:
    """Go on as it is."""


def worker_dies(platform: Platform, archive: Archive) -> None:
    [worker] = stats(platform, archive)["processes"]
    psutil.Process(worker["pid"]).kill()

    def has_another() -> bool:
        found = stats(platform, archive)["processes"]
        return [each["state"] for each in found] == ["ready"] and found[0]["pid"] != worker["pid"]

    until(has_another, what="another worker")


def gateway_restarts(platform: Platform, _archive: Archive) -> None:
    platform.gateway.stop()
    platform.gateway.start()


def test_a_feature_that_is_required_no_more_may_be_missing_and_no_request_fails(
    platform: Platform, model: Model, version: ModelVersion
) -> None:
    served(model.spec, version)
    assert statuses(platform, model, EXAMPLE) == {200}

    served(changed(model.spec, **inputs("text")), version)
    for then, deaths in ((nothing, 0), (worker_dies, 1), (gateway_restarts, 1)):
        then(platform, version.archive)
        assert statuses(platform, model, EXAMPLE, {"text": "hello"}) == {200}, then
        assert stats(platform, version.archive)["counts"].get("deaths", 0) == deaths


def test_settings_that_are_refused_are_put_back(
    platform: Platform, model: Model, version: ModelVersion, moods: Path
) -> None:
    served(model.spec, version)
    route = Gateway().route(model.name)

    moods.touch()
    with pytest.raises(ServingError, match="answers its example otherwise"):
        served(changed(model.spec, **inputs("text")), version)
    for then in (nothing, worker_dies, gateway_restarts):
        then(platform, version.archive)
        assert Gateway().route(model.name) == route
        assert statuses(platform, model, EXAMPLE) == {200}, then
        assert statuses(platform, model, {"text": "hello"}) == {422}, then
