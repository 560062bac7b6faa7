"""What a serving image holds and runs, as processes: the real registry, ledger, archive and server."""

# ruff: noqa: F811 - fixtures are imported by their names

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from cli.__main__ import main
from tasks.contracts import Action, LedgerEntry, ModelVersion
from tasks.errors import ArchiveMismatch, CheckFailed, GateRefused, InvalidRequest, ServingError
from tasks.ledger import entries
from tasks.release.image_files import write_image_files
from tasks.release.image_record import accept_image, note_pushed, pushed_image
from tasks.release.image_relay import ImageRelay
from tasks.settings import settings
from tasks.stores import registry
from tests.services.conftest import Model, Service
from tests.services.serving_images import (  # noqa: F401 - a fixture
    PYTHON,
    TOKEN,
    server_of,
    trained,
    unpacked,
    written,
)


@pytest.fixture
def version(model: Model) -> ModelVersion:
    return model.promoted("one")


@pytest.fixture
def image(version: ModelVersion, tmp_path: Path) -> Path:
    return unpacked(version, tmp_path)


@pytest.fixture
def server(image: Path) -> Iterator[Service]:
    service = server_of(image)
    service.start()
    yield service
    service.stop()


def accept(image: Path, server: Service) -> "subprocess.CompletedProcess[str]":
    command = [str(PYTHON), str(image / "containers" / "serving" / "accept.py")]
    environment = {**os.environ, **server.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_promoted_version_answers_from_its_image_as_it_was_judged(image: Path, server: Service) -> None:
    done = accept(image, server)
    assert (done.returncode, done.stderr) == (0, "")
    assert "answers as it was judged" in done.stdout


def test_an_image_that_answers_otherwise_is_not_accepted(image: Path, server: Service) -> None:
    file = image / "model" / "version.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"expected": {**told["expected"], "score": 0.9}}))
    done = accept(image, server)
    assert done.returncode == 1
    assert "score is 0.007 instead of 0.9" in done.stderr


def test_an_archive_that_was_changed_in_the_image_is_not_served(image: Path, server: Service) -> None:
    [archive] = (image / "model" / "store").glob("*.mar")
    server.stop()
    archive.write_bytes(archive.read_bytes() + b"more")
    server.start()
    done = accept(image, server)
    assert done.returncode == 1
    assert "does not answer its example: HTTP 404" in done.stderr


def test_nobody_asks_without_the_token_and_nobody_loads_another_model(
    image: Path, server: Service, version: ModelVersion
) -> None:
    url = f"http://127.0.0.1:{server.environment['PORT']}/v2"
    of_version = f"{url}/models/{version.model}"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.get(of_version, timeout=10).status_code == 401
    assert requests.get(of_version, headers=bearer, timeout=10).status_code == 200
    load = f"{url}/repository/models/{version.model}/load"
    assert requests.post(load, json={}, headers=bearer, timeout=10).status_code == 401


def test_without_a_token_the_container_says_what_to_set(image: Path) -> None:
    command = [str(PYTHON), str(image / "containers" / "serving" / "serve.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "PERENNIAL_INFERENCE_TOKEN" in done.stderr


def test_the_same_version_gives_the_same_bytes(version: ModelVersion) -> None:
    assert written(version) == written(version)


def test_an_archive_that_was_changed_gets_no_image(version: ModelVersion) -> None:
    archive = Path(version.archive.url)
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(ArchiveMismatch, match="No image is made of it"):
        written(version)


def test_a_version_that_the_gate_did_not_promote_gets_no_image(version: ModelVersion) -> None:
    client = registry.client()
    client.set_model_version_tag(version.model, version.version, registry.DECISION, "0" * 64)
    with pytest.raises(GateRefused, match="no such entry"):
        written(version)


def test_the_word_writes_the_same_files_into_a_pipe_or_a_file(
    version: ModelVersion, settled: Path, tmp_path: Path
) -> None:
    target = tmp_path / "image.tar"
    with pytest.raises(SystemExit) as ended:
        main(["image", version.model, version.version, "--tar", str(target)])
    assert (ended.value.code or 0) == 0
    assert target.read_bytes() == written(version)


def test_a_version_that_is_not_there_is_refused_by_naming_those_that_are(version: ModelVersion) -> None:
    with pytest.raises(InvalidRequest, match="There are 1"):
        write_image_files(version.model, "7", io.BytesIO())


# --- accepted by what its container answers -----------------------------------------------------------------

ID = f"sha256:{'1' * 64}"
REPOSITORY = "registry.example.org/team/model"
DIGEST = f"{REPOSITORY}@sha256:{'2' * 64}"


@pytest.fixture
def relay(image: Path, server: Service) -> Iterator[ImageRelay]:
    """What `docker exec` starts in the container, and who asks through it."""
    command = [str(PYTHON), str(image / "containers" / "serving" / "relay.py")]
    environment = {**os.environ, **server.environment}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as inside:
        assert inside.stdin
        assert inside.stdout
        yield ImageRelay(inside.stdin, inside.stdout, timeout_seconds=5)
        inside.kill()


def told(version: ModelVersion) -> list[LedgerEntry]:
    return entries.history(version.model, {Action.IMAGE})


def accepted(version: ModelVersion, relay: ImageRelay) -> LedgerEntry:
    return accept_image(version.model, version.version, ID, relay.ask, "tests")


def limited(version: ModelVersion, **acceptance: float) -> None:
    """Let the model's pipeline.yaml ask this of an acceptance."""
    file = settings().models / version.model / "pipeline.yaml"
    spec = yaml.safe_load(file.read_text())
    rules = {"rows": 0, "requests": 40, "connections": 4, **acceptance}
    file.write_text(yaml.safe_dump({**spec, "release": {"acceptance": rules}}))


def test_an_image_is_accepted_through_the_pipe_by_the_checks_of_a_release(
    version: ModelVersion, relay: ImageRelay, trained: None
) -> None:
    limited(version)
    entry = accepted(version, relay)
    assert [each["check"] for each in entry.evidence["checks"]] == ["smoke test", "load"]
    assert entry.evidence["archive_sha256"] == version.archive.sha256
    assert accepted(version, relay).after == "accepted"


def test_an_image_that_is_too_slow_under_load_is_refused_and_the_ledger_says_so(
    version: ModelVersion, relay: ImageRelay, trained: None
) -> None:
    limited(version, p95_seconds=0.0001)
    with pytest.raises(CheckFailed, match="Under load 95 % of 40 answers"):
        accepted(version, relay)
    [entry] = told(version)
    assert entry.after == "refused"
    assert entry.evidence["fault"]["p95_seconds"] > 0.0001


def test_an_answer_that_the_handler_refuses_is_a_sentence(version: ModelVersion, relay: ImageRelay) -> None:
    with pytest.raises(ServingError, match="This text is refused"):
        relay.ask({"text": "refuse"})
    assert relay.ask({"text": "example"})["prediction"] == "one"


def test_a_container_that_ends_fails_whoever_asks_it(image: Path) -> None:
    command = [str(PYTHON), "-c", "import sys; sys.stdin.readline()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as inside:
        assert inside.stdin
        assert inside.stdout
        relay = ImageRelay(inside.stdin, inside.stdout, timeout_seconds=5)
        with pytest.raises(ServingError, match="has ended"):
            relay.ask({"text": "example"})


def test_an_image_that_was_not_accepted_is_not_noted_as_pushed(version: ModelVersion) -> None:
    with pytest.raises(InvalidRequest, match="no acceptance of the image"):
        note_pushed(version.model, version.version, ID, DIGEST, "tests")
    assert told(version) == []


def test_a_pushed_image_is_found_by_its_repository_and_its_archive(
    version: ModelVersion, relay: ImageRelay, trained: None
) -> None:
    limited(version)
    acceptance = accepted(version, relay)
    with pytest.raises(InvalidRequest, match="no image by its digest"):
        note_pushed(version.model, version.version, ID, f"{REPOSITORY}:3", "tests")
    entry = note_pushed(version.model, version.version, ID, DIGEST, "tests")
    assert entry.evidence["accepted"] == acceptance.entry_hash
    found = pushed_image(version, REPOSITORY)
    assert found is not None
    assert found.evidence["image"] == DIGEST
    assert pushed_image(version, "registry.example.org/team/mode") is None
    other = version.model_copy(update={"archive": version.archive.model_copy(update={"sha256": "0" * 64})})
    assert pushed_image(other, REPOSITORY) is None
