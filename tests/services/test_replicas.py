"""Two inference servers behind one gateway, as two machines would have them: one dies, and nobody notices."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import inference as embedded_inference
from embedded.ports import free_port
from tasks.errors import InvalidSettings
from tasks.serving.oip import Oip
from tasks.serving.replicated import replicated
from tasks.settings import settings
from tests.services.conftest import (
    ENVIRONMENTS,
    Model,
    Platform,
    Service,
    build_archive,
    load_on,
    new_model,
    until,
)


@pytest.fixture(scope="module")
def second(services: Platform, settled: Path) -> Iterator[Service]:
    """Another server on the first one's store and tokens; what it unpacks is its own."""
    import requests

    port = free_port()
    command, environment = embedded_inference.command(
        ENVIRONMENTS / "inference", services.inference_folder, port
    )
    environment |= {"PERENNIAL_INFERENCE_SCRATCH": str(services.folder / "scratch-of-the-second")}
    url = f"http://127.0.0.1:{port}"
    service = Service(
        command,
        environment,
        services.folder / "inference-2.log",
        lambda: requests.get(f"{url}/v2/health/ready", timeout=5).ok,
    )
    service.start()
    with pytest.MonkeyPatch.context() as patched:
        both = f"{services.oip_url}, {url}"
        patched.setenv("PERENNIAL_OIP_URL", both)
        settings.cache_clear()
        with services.listening(OIP_URL=both):
            yield service
    settings.cache_clear()
    if service.running:
        service.kill()


def servers() -> list[Oip]:
    place = settings()
    return [Oip(url.strip(), place.oip_keys, place.oip_folder) for url in place.oip_url.split(",")]


@pytest.fixture
def model(platform: Platform, second: Service, settled: Path) -> Iterator[Model]:
    made = new_model(settled, backend="oip")
    yield made
    made.remove()


def test_every_server_holds_a_version_and_each_answers(model: Model, platform: Platform) -> None:
    model.deploy("one")

    with load_on(platform, model.name, per_second=80):
        time.sleep(1)
    for server in servers():
        [found] = server._api.versions(model.name)
        assert found["counts"]["requests"] > 5


def test_a_server_that_dies_under_load_fails_no_request_and_is_used_again_when_it_is_back(
    model: Model, platform: Platform, second: Service
) -> None:
    model.deploy("one")
    with load_on(platform, model.name, per_second=80) as load:
        time.sleep(0.5)
        second.kill()
        time.sleep(1)
        second.start()
        until(lambda: servers()[1]._api.versions(model.name), what="the version to be back")
        before = servers()[1]._api.versions(model.name)[0]["counts"].get("requests", 0)
        time.sleep(3)
        after = servers()[1]._api.versions(model.name)[0]["counts"]["requests"]

    assert (load.faults, load.refusals) == ([], [])
    assert after > before + 20
    assert "Server 2 of 2 is back" in platform.gateway.log.read_text()


def test_a_server_that_is_away_keeps_no_version_from_being_deployed(
    model: Model, platform: Platform, second: Service
) -> None:
    second.kill()
    fewer = model.spec.serving.model_copy(update={"replicas": 1})
    backend = replicated(servers())
    archive = build_archive(model.folder, model.name, "one")

    backend.register(archive, fewer)

    assert backend.ready(model.name, archive.version, archive.sha256)
    assert (
        backend.predict(model.name, archive.version, {"text": "hello"}, timeout_seconds=5)["prediction"]
        == "one"
    )
    assert backend.retire(model.name, set()) == [archive.version]
    second.start()


def test_a_version_on_one_of_two_servers_is_found_there(model: Model, platform: Platform) -> None:
    spec = model.spec.model_copy(update={"serving": model.spec.serving.model_copy(update={"replicas": 1})})
    model = Model(spec, model.folder)
    model.deploy("one")

    assert servers()[1].describe(model.name) == []
    assert {platform.predict(model.name, "hello").status_code for _ in range(20)} == {200}


def test_more_replicas_than_there_are_servers_are_refused(model: Model) -> None:
    three = model.spec.serving.model_copy(update={"replicas": 3})

    with pytest.raises(InvalidSettings, match="wants 3 replicas, but the settings name 2 servers"):
        replicated(servers()).register(build_archive(model.folder, model.name, "one"), three)
