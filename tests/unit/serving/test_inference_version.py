"""A version of the inference server whose workers are slow to start, cannot start, or die for ever."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop
from perennial_inference import process
from perennial_inference.archives import Order
from perennial_inference.settings import InferenceSettings
from perennial_inference.version import LONGEST_PAUSE_SECONDS, Version

from tests.conftest import PROJECT

HANDLER = """
import time


class Handler:
    def initialize(self, context):
        time.sleep({load_seconds})

    def handle(self, data, context):
        time.sleep({answer_seconds})
        return [{{"prediction": 1, "score": 0.5}} for _ in data]
"""
ORDER = Order(
    model="m",
    version="1",
    archive="m.mar",
    sha256="0",
    idle_seconds=0.3,
    input_schema={
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    },
    label_schema={"type": "integer"},
)
BODY = json.dumps({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}).encode()


@pytest.fixture
def limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InferenceSettings:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "containers" / "inference"))
    monkeypatch.setenv("PERENNIAL_INFERENCE_FOLDER", str(tmp_path))
    return InferenceSettings.read()


def unpacked(folder: Path, *, load_seconds: float = 0, answer_seconds: float = 0) -> Path:
    (folder / "MAR-INF").mkdir()
    manifest = {"model": {"modelName": "m", "modelVersion": "1", "handler": "handler.py"}}
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    source = HANDLER.format(load_seconds=load_seconds, answer_seconds=answer_seconds)
    (folder / "handler.py").write_text(source)
    return folder


def run(scenario: "Coroutine[Any, Any, None]") -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


async def ticking(version: Version) -> None:
    while True:
        version.tick()
        await asyncio.sleep(0.05)


def test_a_version_that_loads_for_longer_than_it_may_idle_is_loaded_all_the_same(
    tmp_path: Path, limits: InferenceSettings
) -> None:
    async def scenario() -> None:
        version = Version(ORDER, unpacked(tmp_path, load_seconds=1), limits)
        ticks = asyncio.create_task(ticking(version))
        await version.change(ORDER, 20)
        assert [each.loaded for each in version.workers] == [True]
        while not version.asleep or version.workers:
            await asyncio.sleep(0.02)
        status, _ = await version.submit(BODY)  # which wakes it, for another second
        assert status == 200
        ticks.cancel()
        await version.close()

    run(scenario())


def test_a_long_request_is_not_followed_by_sleep_at_once(tmp_path: Path, limits: InferenceSettings) -> None:
    async def scenario() -> None:
        order = replace(ORDER, idle_seconds=0.6)
        version = Version(order, unpacked(tmp_path, answer_seconds=0.8), limits)
        ticks = asyncio.create_task(ticking(version))
        await version.change(order, 20)
        await version.submit(BODY)
        await asyncio.sleep(0.2)
        assert not version.asleep
        ticks.cancel()
        await version.close()

    run(scenario())


def test_a_worker_that_the_machine_has_no_room_for_is_started_later(
    tmp_path: Path, limits: InferenceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        version = Version(ORDER, unpacked(tmp_path), limits)
        monkeypatch.setattr(process.sys, "executable", str(tmp_path / "no-python"))
        starting = asyncio.create_task(version.change(ORDER, 20))
        while not version.counted["deaths"]:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(process.sys, "executable", PYTHON)
        await starting
        status, _ = await version.submit(BODY)
        assert status == 200
        await version.close()

    run(scenario())


def test_one_that_cannot_be_woken_for_a_while_does_not_fall_asleep_again_and_comes_back(
    tmp_path: Path, limits: InferenceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        version = Version(ORDER, unpacked(tmp_path), limits)
        ticks = asyncio.create_task(ticking(version))
        await version.change(ORDER, 20)
        while not version.asleep or version.workers:
            await asyncio.sleep(0.02)
        monkeypatch.setattr(process.sys, "executable", str(tmp_path / "no-python"))
        status, _ = await version.submit(BODY)
        await asyncio.sleep(2 * (ORDER.idle_seconds or 0))
        assert (status, version.asleep, version.state) == (503, False, "UNAVAILABLE")
        monkeypatch.setattr(process.sys, "executable", PYTHON)
        while version.state != "READY":
            await asyncio.sleep(0.02)
        assert (await version.submit(BODY))[0] == 200
        ticks.cancel()
        await version.close()

    run(scenario())


def test_an_order_that_changes_while_a_worker_has_just_died_is_followed_by_the_next_one(
    tmp_path: Path, limits: InferenceSettings
) -> None:
    """On uvloop, as the server runs: its lines refuse what is written to them once they are closed."""

    async def scenario() -> None:
        order = replace(ORDER, idle_seconds=None)
        version = Version(order, unpacked(tmp_path), limits)
        await version.change(order, 20)
        [worker] = version.workers
        worker.kill()
        while worker.state == "ready":
            await asyncio.sleep(0)
        await version.change(replace(order, input_schema={}), 20)
        body = {"inputs": [{"name": "instance", "datatype": "BYTES", "data": ['{"text": "a"}']}]}
        assert (await version.submit(json.dumps(body).encode()))[0] == 200
        await version.close()

    uvloop.run(asyncio.wait_for(scenario(), 30))


def test_a_version_that_is_unloaded_before_its_worker_was_started_starts_none(
    tmp_path: Path, limits: InferenceSettings
) -> None:
    async def scenario() -> None:
        version = Version(ORDER, unpacked(tmp_path, load_seconds=60), limits)
        version._ensure()
        await version.close()
        assert version.workers == []

    run(scenario())


PYTHON = sys.executable


def test_a_version_that_dies_for_a_whole_night_is_still_tried(
    tmp_path: Path, limits: InferenceSettings
) -> None:
    async def scenario() -> None:
        version = Version(ORDER, unpacked(tmp_path), limits)
        version._deaths = 5000
        version._ensure_later()
        assert version._pause is not None
        assert version._pause.when() - asyncio.get_running_loop().time() <= LONGEST_PAUSE_SECONDS
        version._pause.cancel()

    run(scenario())
