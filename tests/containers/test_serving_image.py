"""`make image` on a real engine, MLflow and ledger, and pushed to a real registry (Debian's package)."""

# ruff: noqa: F811 - fixtures are imported by their names

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import yaml

from embedded.ports import free_port
from tasks.contracts import Action, DataSnapshot, LedgerEntry, ModelVersion, SnapshotPart, TrainingRun
from tasks.ledger import entries
from tasks.release.acceptance import ANSWERS
from tasks.settings import PROJECT, settings
from tasks.stores import registry
from tasks.stores.row_hash import sha256_of_rows
from tests.services.conftest import (  # noqa: F401 - fixtures
    Model,
    Service,
    build_archive,
    mlflow_url,
    model,
    platform,
    promote,
    services,
    settled,
)

if TYPE_CHECKING:
    from docker import DockerClient

ROWS = 20
REGISTRY = """
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
http:
  addr: 127.0.0.1:{port}
"""


@pytest.fixture(scope="module")
def registry_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on this machine, which Docker trusts without TLS."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("There is no program docker-registry: apt-get install docker-registry")
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    file = folder / "config.yml"
    file.write_text(REGISTRY.format(folder=folder / "data", port=port))
    ready = f"http://127.0.0.1:{port}/v2/"
    command = [program, "serve", str(file)]
    service = Service(command, {}, folder / "log", lambda: requests.get(ready, timeout=5).ok)
    service.start()
    yield f"127.0.0.1:{port}/team"
    service.stop()


def trained(model: Model, folder: Path, said: str = "one") -> ModelVersion:
    """A promoted version with frozen rows, which were all answered with `said` when it was judged."""
    texts = ["a" * (number + 1) for number in range(ROWS)]
    ids = [f"r{number}" for number in range(ROWS)]
    rows = pa.table({"id": ids, "text": texts, "label": [number % 2 for number in range(ROWS)]})
    client = registry.client()
    experiment = client.create_experiment(model.name, artifact_location=str(folder / "artifacts"))
    run_id = client.create_run(experiment).info.run_id
    part = folder / "test.parquet"
    pq.write_table(rows, part)
    scores = [len(text) / 1000 for text in texts]
    answers = {"id": ids, "candidate_prediction": [said] * ROWS, "candidate_score": scores}
    pq.write_table(pa.table(answers), folder / "answers.parquet")
    client.log_artifact(run_id, str(folder / "answers.parquet"), ANSWERS.partition("/")[0])
    frozen = SnapshotPart(url=str(part), rows=ROWS, sha256=sha256_of_rows(rows))
    client.log_text(run_id, run_of(model, run_id, frozen).model_dump_json(), registry.LINEAGE)
    archive = build_archive(folder / "archives", model.name, "one")
    return promote(model.spec, archive.model_copy(update={"run_id": run_id}))


def run_of(model: Model, run_id: str, part: SnapshotPart) -> TrainingRun:
    about = {"table": "t", "table_version": 1, "as_of": None, "version_at": "2026-11-01T00:00:00Z"}
    parts = {"train": part, "validation": part, "test": part}
    snapshot = DataSnapshot.model_validate({**about, "query": "", "rows": 3, "sha256": "0" * 64, **parts})
    plain = {"code_commit": None, "image_digest": None, "lock_sha256": "0", "parameters": {}, "seed": 1}
    ids = {"model": model.name, "run_id": run_id, "experiment_id": "1", "model_files_url": ""}
    return TrainingRun.model_validate({**ids, **plain, "snapshot": snapshot})


def limited(model: Model, **acceptance: float) -> None:
    file = settings().models / model.name / "pipeline.yaml"
    spec = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**spec, "release": {"acceptance": {"rows": ROWS, **acceptance}}}))


def make_image(
    version: ModelVersion, images: dict[str, str], folder: Path, **more: str
) -> "subprocess.CompletedProcess[str]":
    named = folder / "images.env"
    named.write_text(f"PERENNIAL_INFERENCE_IMAGE={images['inference']}\n")
    environment = {
        **os.environ,
        "IMAGES_FILE": str(named),
        "PERENNIAL_ON": "processes",
        "MODEL": version.model,
        "VERSION": version.version,
        **more,
    }
    command = ["make", "-s", "image", *(f"{name}={value}" for name, value in more.items())]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=280
    )


def told(version: ModelVersion) -> list[LedgerEntry]:
    return entries.history(version.model, {Action.IMAGE})


def tags_of(engine: "DockerClient", version: ModelVersion) -> list[Any]:
    return engine.images.list(name=version.model)


@pytest.fixture
def tidy(engine: "DockerClient", images: dict[str, str], model: Model) -> Iterator[None]:
    if "inference" not in images:
        pytest.skip("The image of the inference server is not built: make images IMAGES=inference")
    yield
    made = (image for image in engine.images.list() if any(model.name in tag for tag in image.tags))
    for image in made:
        engine.images.remove(image.id, force=True)


def test_an_image_is_accepted_named_pushed_and_told_of_in_the_ledger(
    model: Model,
    images: dict[str, str],
    engine: "DockerClient",
    registry_address: str,
    tidy: None,
    tmp_path: Path,
) -> None:
    version = trained(model, tmp_path)
    limited(model)
    done = make_image(version, images, tmp_path, REGISTRY=registry_address)
    assert done.returncode == 0, done.stderr + done.stdout
    accepted, pushed = told(version)
    assert [each["check"] for each in accepted.evidence["checks"]] == ["smoke test", "frozen rows", "load"]
    assert accepted.evidence["checks"][1]["detail"] == f"{ROWS} are answered as when judged"
    assert accepted.evidence["image_id"] == engine.images.get(f"{version.model}:{version.version}").id
    reference = pushed.evidence["image"]
    assert reference in done.stdout
    host, _, path = registry_address.partition("/")
    digest = reference.partition("@")[2]
    manifest = f"http://{host}/v2/{path}/{version.model}/manifests/{digest}"
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    held = requests.get(manifest, headers=accept, timeout=10)
    assert held.json()["config"]["digest"] == accepted.evidence["image_id"]


def test_an_image_that_answers_a_frozen_row_otherwise_gets_no_name_and_is_not_pushed(
    model: Model,
    images: dict[str, str],
    engine: "DockerClient",
    registry_address: str,
    tidy: None,
    tmp_path: Path,
) -> None:
    version = trained(model, tmp_path, said="another")
    limited(model)
    done = make_image(version, images, tmp_path, REGISTRY=registry_address)
    assert done.returncode != 0
    assert f"it answers {ROWS} of {ROWS} frozen rows otherwise" in done.stderr
    assert "Nothing was tagged or pushed" in done.stderr
    assert [each.after for each in told(version)] == ["refused"]
    assert tags_of(engine, version) == []
    host = registry_address.partition("/")[0]
    there = requests.get(f"http://{host}/v2/_catalog", timeout=10).json()["repositories"]
    assert all(version.model not in each for each in there)
