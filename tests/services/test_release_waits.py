"""What waits for what: a rollback for no load. What is decided anew is written anew."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import AcceptRequest, DeployRequest
from tasks.errors import ServingError
from tasks.release.accept import accept
from tasks.release.deploy import deploy
from tasks.release.record import release_of
from tasks.serving.backend import serving_backend
from tasks.serving.gateway import Gateway
from tasks.spec import ServingBackendName
from tests.services.conftest import HANDLER, Platform, build_archive, load_on, new_model, promote, until
from tests.services.test_changed_schema import DATA
from tests.services.test_release import RULES, SAME, accepted, context, judged, opened, runs, told
from tests.services.test_release_ended import rolled_back
from tests.services.test_rollback import until_there_is

__all__ = ["runs"]


def loaded_once_there_is(flag: Path) -> str:
    """A handler that begins to be loaded, says so beside the file, and is loaded when the file is there."""
    waits = f"""open({str(flag.with_suffix(".begun"))!r}, "w").close()
        while not os.path.exists({str(flag)!r}):
            time.sleep(0.02)
        self.version = """
    return HANDLER.replace("self.version = ", waits, 1)


FAILS_UNDER_LOAD = HANDLER.replace(
    'text = instance["text"]', 'text = "fail" if instance["text"] == "load" else instance["text"]'
)


@contextmanager
def ends_anyhow(flag: Path) -> Iterator[None]:
    """Let the load end with the block, and after a minute where the block waits for it."""
    late = threading.Timer(60, flag.touch)
    late.start()
    try:
        yield
    finally:
        late.cancel()
        flag.touch()


@pytest.mark.parametrize("backend", ["torchserve", "oip"])
def test_a_rollback_waits_for_no_version_that_is_loaded(
    platform: Platform, settled: Path, tmp_path: Path, backend: ServingBackendName
) -> None:
    model, flag = new_model(settled, release=RULES, backend=backend), tmp_path / "loaded"
    model.deploy("one")
    model.deploy("two")
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(accepted, model, "three", handler=loaded_once_there_is(flag))
        until(flag.with_suffix(".begun").exists, what="the load to begin")
        with ends_anyhow(flag):
            assert rolled_back(model).verdict == "rolled_back"
            assert not flag.exists(), "it waited for the load"
        assert loading.result().plan
    model.remove()


def test_a_canary_goes_back_while_another_version_is_loaded(
    platform: Platform, settled: Path, tmp_path: Path
) -> None:
    model, flag = new_model(settled, release=RULES), tmp_path / "loaded"
    model.deploy("one")
    stage = opened(model, accepted(model, handler=FAILS_UNDER_LOAD), "canary_30")
    with ThreadPoolExecutor(1) as pool, load_on(platform, model.name, per_second=40):
        deploying = pool.submit(model.deploy, "slow", handler=loaded_once_there_is(flag))
        until(flag.with_suffix(".begun").exists, what="the load to begin")
        with ends_anyhow(flag):
            assert judged(model, stage).verdict == "roll_back"
            assert not flag.exists(), "it waited for the load"
        deploying.exception()
    model.remove()


def test_what_is_refused_again_for_the_same_reason_ends_the_release_again(
    platform: Platform, settled: Path, tmp_path: Path
) -> None:
    model, wrong = new_model(settled, release=RULES), tmp_path / "wrong"
    model.deploy(SAME)
    version = model.promoted(SAME, handler=until_there_is(wrong))
    request = AcceptRequest(spec=model.spec, version=version.version, context=context("2"))
    for _ in range(2):  # the second one is a try of the same
        wrong.touch()
        with pytest.raises(ServingError):
            accept(request)
    assert told(model) == ["refused"]
    wrong.unlink()
    opened(model, accept(request), "canary_30")
    wrong.touch()
    with pytest.raises(ServingError):
        accept(request)
    assert told(model) == ["refused", "accepted", "stage", "refused"]
    assert (release_of(model.name), Gateway().split(model.name)) == (None, None)
    wrong.unlink()
    accept(request)
    assert told(model)[-1] == "accepted"
    model.remove()


@pytest.mark.parametrize("backend", ["torchserve", "oip"])
def test_the_version_before_comes_back_when_the_newer_one_has_a_feature_more(
    platform: Platform, settled: Path, backend: ServingBackendName
) -> None:
    def inputs(*names: str) -> dict[str, Any]:
        kinds = {"text": "string", "n": "integer"}
        schema = {"type": "object", "required": list(names), "additionalProperties": False}
        properties = {name: {"type": kinds[name]} for name in names}
        example: dict[str, Any] = {"text": "example", "n": 1}
        return {
            "input_schema": {**schema, "properties": properties},
            "input_example": {name: example[name] for name in names},
        }

    model = new_model(settled, data=DATA, backend=backend, **inputs("text", "n"))
    now = model.spec
    serving = now.serving.model_copy(update=inputs("text"))
    data = now.data.model_copy(update={"features": ("text",)})
    then = now.model_copy(update={"serving": serving, "data": data})
    one = promote(then, build_archive(model.folder, model.name, "one"))
    deploy(DeployRequest(spec=then, version=one, context=context("one")))
    archive = build_archive(model.folder, model.name, "two")
    two = promote(now, archive.model_copy(update={"input_example": now.serving.input_example}))
    deploy(DeployRequest(spec=now, version=two, context=context("two")))
    serving_backend(backend).retire(model.name, {two.archive.version})  # as after `keep_warm_seconds`

    assert rolled_back(model).verdict == "rolled_back"

    assert platform.predict(model.name, "hello").status_code == 200
    model.remove()
