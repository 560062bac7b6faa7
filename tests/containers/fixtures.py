"""A Docker engine, an image with our steps in it, and a
folder that the steps in containers share with the tests.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.settings import PROJECT, settings
from tasks.stores import database
from tests.containers.step_image import build

if TYPE_CHECKING:
    import docker


@pytest.fixture(scope="session")
def engine() -> "Iterator[docker.DockerClient]":
    """The engine that DOCKER_HOST or this machine's socket leads to."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"No Docker engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def step_image(engine: "docker.DockerClient", tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The id of an image with `tasks`, its light dependencies, and a scripted verb `collect`."""
    image = build(engine, tmp_path_factory.mktemp("image"))
    yield image
    engine.images.remove(image, force=True)


@pytest.fixture
def store(engine: "docker.DockerClient", monkeypatch: pytest.MonkeyPatch, step_image: str) -> Iterator[Path]:
    """A store that containers and tests see under the same path, and settings that run steps there.

    It is a named volume that shows a folder of this machine; only a test may ask an engine for that.
    """
    folder = Path(tempfile.mkdtemp(prefix="perennial-store-"))
    folder.chmod(0o777)
    name = f"perennial-test-{secrets.token_hex(4)}"
    options = {"type": "none", "o": "bind", "device": str(folder)}
    volume = engine.volumes.create(name, driver="local", driver_opts=options, labels={"perennial.test": name})
    for variable, value in {
        "HOME": str(folder),
        "STORE_URL": str(folder / "store"),
        "STEP_MOUNTS": f"{name}:{folder}",
        "STEP_IMAGE": step_image,
        "INSTALLATION": name,
        "RUNNER": "docker",
    }.items():
        monkeypatch.setenv(f"PERENNIAL_{variable}", value)
    settings.cache_clear()
    before = os.umask(0)
    yield folder
    os.umask(before)
    for left in engine.containers.list(all=True, filters={"label": f"perennial.installation={name}"}):
        left.remove(force=True)
    volume.remove()
    shutil.rmtree(folder, ignore_errors=True)
    settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture(scope="session")
def images(engine: "docker.DockerClient") -> dict[str, str]:
    """The ids in .perennial/images.env, by the image's name; skips where none were built."""
    file = PROJECT / ".perennial" / "images.env"
    if not file.exists():
        pytest.skip("The images are not built: run `make images`.")
    lines = (line.partition("=") for line in file.read_text(encoding="utf-8").splitlines())
    return {name.removeprefix("PERENNIAL_").removesuffix("_IMAGE").lower(): value for name, _, value in lines}
