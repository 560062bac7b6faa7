"""How images are built: what a change builds again, which commit they know, and what no layer may hold."""

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.settings import PROJECT

if TYPE_CHECKING:
    from docker import DockerClient

CANARY = "canary-4b1d9c"
PIP = PROJECT / ".perennial" / "uv" / "bin" / "python"
PIPS_OWN_INDEX = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this working tree with one commit, and a secret beside the code as `make up` leaves it."""
    folder = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().rstrip("\0").split("\0"):
        if (PROJECT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    for line in ("init", "add -A", "-c user.name=t -c user.email=t@example.com commit -m one"):
        subprocess.run(["git", *line.split()], cwd=folder, capture_output=True, check=True)
    for secret in (folder / ".env", folder / "containers" / ".env.local"):
        secret.write_text(f"PASSWORD={CANARY}")
    (folder / ".git" / "info" / "exclude").write_text(".env*\n")
    return folder


def build(folder: Path, *names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "containers/compose/build.sh", *names]
    variables = {**os.environ, "IMAGE_PREFIX": "perennial-test", **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def no_test_images(engine: "DockerClient") -> Iterator[None]:
    yield
    # By their tags: another name of the same content stays.
    for tag in [
        tag for image in engine.images.list() for tag in image.tags if tag.startswith("perennial-test/")
    ]:
        engine.images.remove(tag, force=True)


def test_neither_the_address_of_an_index_nor_a_file_beside_the_code_gets_into_a_layer(
    engine: "DockerClient", clone: Path, no_test_images: None
) -> None:
    index = (
        os.environ.get("PIP_INDEX_URL")
        or subprocess.check_output([PIP, "-c", PIPS_OWN_INDEX], text=True).strip()
    )
    scheme, _, rest = index.partition("://")
    told = build(
        clone,
        "gateway",
        PIP_INDEX_URL=f"{scheme}://user:{CANARY}@{rest.rpartition('@')[2]}",
        UV_DEFAULT_INDEX="",
    )
    if told.returncode:
        pytest.skip(f"This index takes no other login: {told.stderr[-500:]}")
    saved = BytesIO(b"".join(engine.images.get("perennial-test/gateway").save()))
    with tarfile.open(fileobj=saved) as image:
        members = [member for member in image.getmembers() if member.isfile()]
        layers = [image.extractfile(member) for member in members]
        assert len(layers) > 5
        assert [
            member.name
            for member, layer in zip(members, layers, strict=True)
            if layer and CANARY.encode() in layer.read()
        ] == []


def test_a_change_of_code_builds_only_the_last_layers_again(
    engine: "DockerClient", images: dict[str, str], clone: Path, no_test_images: None
) -> None:
    began = time.monotonic()
    (clone / "tasks" / "gate" / "gate.py").open("a").write("\n# changed\n")
    told = build(clone, "ml", "gateway")
    assert told.returncode == 0, told.stderr
    before, after = (engine.images.get(name) for name in (images["ml"], "perennial-test/ml"))
    kept, rebuilt = (image.attrs["RootFS"]["Layers"] for image in (before, after))
    assert rebuilt[:-1] == kept[:-1]
    assert rebuilt[-1] != kept[-1]
    assert time.monotonic() - began < 120
    assert after.labels["org.opencontainers.image.revision"].endswith("+dirty")
    assert f"PERENNIAL_ML_IMAGE={after.id}" in (clone / ".perennial" / "images.env").read_text()


def test_images_of_an_archive_without_git_know_their_commit(
    engine: "DockerClient", clone: Path, no_test_images: None
) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout.strip()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=clone, capture_output=True, check=True).stdout
    unpacked = clone.parent / "unpacked"
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(unpacked, filter="data")
    told = build(unpacked, "gateway")
    assert told.returncode == 0, told.stderr
    assert engine.images.get("perennial-test/gateway").labels["org.opencontainers.image.revision"] == commit


def test_a_folder_without_git_and_without_a_commit_is_refused(engine: "DockerClient", clone: Path) -> None:
    shutil.rmtree(clone / ".git")
    told = build(clone, "gateway")
    assert told.returncode == 1
    assert "must say what code they hold" in told.stderr


def test_without_an_engine_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    if not shutil.which("docker"):
        pytest.skip("There is no docker program.")
    told = build(PROJECT, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert told.returncode == 1
    assert "No Docker engine answers" in told.stderr
    assert "Start it" in told.stderr


def test_a_wheelhouse_without_torch_is_refused_before_anything_is_built(
    engine: "DockerClient", tmp_path: Path
) -> None:
    told = build(PROJECT, "ml", WHEELS=str(tmp_path))
    assert told.returncode == 1
    assert "holds no torch-*.whl" in told.stderr
