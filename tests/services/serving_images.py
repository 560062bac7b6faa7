"""What a serving image holds and runs, as files and processes, for the tests that ask one."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest
import requests

from embedded.ports import free_port
from tasks.contracts import DataSnapshot, ModelVersion, SnapshotPart, TrainingRun
from tasks.release.image_files import write_image_files
from tasks.settings import PROJECT
from tasks.stores import registry
from tests.services.conftest import ENVIRONMENTS, Service

TOKEN = "a token of this test"
PYTHON = ENVIRONMENTS / "inference" / "bin" / "python"


def written(version: ModelVersion) -> bytes:
    target = io.BytesIO()
    write_image_files(version.model, version.version, target)
    return target.getvalue()


def unpacked(version: ModelVersion, folder: Path) -> Path:
    """The files of /opt/perennial in an image."""
    with tarfile.open(fileobj=io.BytesIO(written(version))) as tar:
        tar.extractall(folder / "model", filter="data")
    code = folder / "containers" / "serving"
    code.mkdir(parents=True)
    for source in (
        *(PROJECT / "containers" / "serving").glob("*.py"),
        PROJECT / "tasks/release/differences.py",
    ):
        shutil.copy(source, code)
    return folder


def server_of(image: Path) -> Service:
    """What the image's container runs, on a port of its own."""
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
    return Service(command, environment, image / "server.log", lambda: requests.get(ready, timeout=5).ok)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archives of these tests come from no training: what MLflow would say of it."""
    part = SnapshotPart(url="unused", rows=1, sha256="0" * 64)
    about = {"table": "t", "table_version": 1, "as_of": None, "version_at": "2026-11-01T00:00:00Z"}
    parts = {"train": part, "validation": part, "test": part}
    snapshot = DataSnapshot.model_validate({**about, "query": "", "rows": 3, "sha256": "0" * 64, **parts})

    def run(run_id: str) -> TrainingRun:
        plain = {"code_commit": None, "image_digest": None, "lock_sha256": "0", "parameters": {}, "seed": 1}
        ids = {"model": "m", "run_id": run_id, "experiment_id": "1", "model_files_url": ""}
        return TrainingRun.model_validate({**ids, **plain, "snapshot": snapshot})

    monkeypatch.setattr(registry, "training_run", run)
