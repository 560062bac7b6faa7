"""What a serving image holds and runs, as processes: the real registry, ledger, archive and server."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from cli.__main__ import main
from embedded.ports import free_port
from tasks.contracts import ModelVersion
from tasks.errors import ArchiveMismatch, GateRefused, InvalidRequest
from tasks.release.image_files import write_image_files
from tasks.settings import PROJECT
from tasks.stores import registry
from tests.services.conftest import ENVIRONMENTS, Model, Service

TOKEN = "a token of this test"
PYTHON = ENVIRONMENTS / "inference" / "bin" / "python"


def written(version: ModelVersion) -> bytes:
    target = io.BytesIO()
    write_image_files(version.model, version.version, target)
    return target.getvalue()


@pytest.fixture
def version(model: Model) -> ModelVersion:
    return model.promoted("one")


@pytest.fixture
def image(version: ModelVersion, tmp_path: Path) -> Path:
    """The files of /opt/perennial in an image."""
    with tarfile.open(fileobj=io.BytesIO(written(version))) as tar:
        tar.extractall(tmp_path / "model", filter="data")
    code = tmp_path / "containers" / "serving"
    code.mkdir(parents=True)
    for source in (
        *(PROJECT / "containers" / "serving").glob("*.py"),
        PROJECT / "tasks/release/differences.py",
    ):
        shutil.copy(source, code)
    return tmp_path


@pytest.fixture
def server(image: Path) -> Iterator[Service]:
    """What its container runs."""
    port = str(free_port())
    environment = {
        "PYTHONPATH": str(PROJECT / "containers" / "inference"),
        "PERENNIAL_INFERENCE_TOKEN": TOKEN,
        "PERENNIAL_INFERENCE_HOST": "127.0.0.1",
        "PORT": port,
        "TMPDIR": str(image),
    }
    ready = f"http://127.0.0.1:{port}/v2/health/ready"
    command = [str(PYTHON), str(image / "containers" / "serving" / "serve.py")]
    service = Service(command, environment, image / "server.log", lambda: requests.get(ready, timeout=5).ok)
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
    with pytest.raises(InvalidRequest, match="Its versions: 1"):
        write_image_files(version.model, "7", io.BytesIO())
