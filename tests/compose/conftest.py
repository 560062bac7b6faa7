"""One whole platform in containers for all of these tests, beside any other that the engine may hold."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from demo.report import Report
from demo.story import DRIFT, TRAIN
from embedded.ports import free_port
from tests.compose import more_models
from tests.compose.more_models import MODEL
from tests.compose.stack import Stack
from tests.conftest import PROJECT

PROJECT_NAME = f"perennial-tests-{hashlib.sha256(os.fsencode(PROJECT)).hexdigest()[:6]}"
EXAMPLE = {"text": "A quiet, wonderful film with a great cast."}
FIRST_MODEL = {"ON": "compose", "SHORT": "1", "FIRST_MODEL": "1", "SAMPLE_SECONDS": "20"}
TWO_WORKERS = {"GPU_WORKERS": "2", "GPU_WORKER_SLOTS": "1", "GPU_SLOTS": "2"}
FIRST, LAST = "test_story.py", "test_scale_out.py"
REVISION = "org.opencontainers.image.revision"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The story needs a platform without a past; what ends it comes last."""
    items.sort(key=lambda item: (item.path.name == LAST, item.path.name != FIRST))


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """The Docker engine of this machine."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    return client


def stack_of(
    engine: docker.DockerClient, project: str, folder: Path, images: Path = more_models.IMAGES
) -> Stack:
    """A platform with ports of its own, not started."""
    stack = Stack(project, folder, engine, images)
    https = free_port()
    http = free_port(used={https})
    stack.set(HTTPS_PORT=str(https), HTTP_PORT=str(http))
    return stack


def hold_this_commit(engine: docker.DockerClient, file: Path, project: Path = PROJECT) -> bool:
    """Whether the images that a file of `make images` names are here, each made of the code as it is."""
    if not file.exists() or not (project / ".git").exists() or said_by_git(project, "status", "--porcelain"):
        return False
    lines = (line.partition("=") for line in file.read_text(encoding="utf-8").splitlines())
    ids = {name: value for name, _, value in lines if name.endswith("_IMAGE")}
    try:
        labels = {name: engine.images.get(image).labels for name, image in ids.items()}
    except ImageNotFound:
        return False
    built = {
        name for name, of in labels.items() if of.get(REVISION) == said_by_git(project, "rev-parse", "HEAD")
    }
    folders = {path.parent.name for path in project.glob("containers/*/Dockerfile")} - {"airgap"}
    return built == {f"PERENNIAL_{folder.upper()}_IMAGE" for folder in folders}


def said_by_git(project: Path, *words: str) -> str:
    command = ["git", "-C", str(project), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def stack(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The platform, every service healthy, with two GPU workers and more models than are shipped.

    It is the session's: a test leaves it healthy. What an earlier session left behind because it was killed
    is removed first. Images of this commit are not built anew: the engine would read all their files again.
    """
    folder = tmp_path_factory.mktemp("compose")
    made = stack_of(engine, PROJECT_NAME, folder, folder / "images" / "images.env")
    made.make("down")
    if not hold_this_commit(engine, more_models.IMAGES):
        built = subprocess.run(["make", "images"], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout[-6000:] + built.stderr[-6000:]
    images = more_models.build(folder / "images")
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    try:
        made.set(**TWO_WORKERS)
        up = made.make("up", timeout_seconds=900)
        assert up.returncode == 0, up.stdout[-6000:]
        yield made
    finally:
        if bundle is None:
            os.environ.pop("REQUESTS_CA_BUNDLE", None)
        else:
            os.environ["REQUESTS_CA_BUNDLE"] = bundle
        down = made.make("down")
        for name in more_models.CHANGED:
            engine.images.remove(images[name], force=True)
    assert down.returncode == 0, down.stdout
    assert not left_of(engine, PROJECT_NAME)


@pytest.fixture(scope="session")
def story(stack: Stack) -> Report:
    """The demo's story up to its first model: reviews have joined the lake, and it serves.

    What follows is told by the same steps, and on processes by `.ci/run`.
    """
    told = stack.make("demo", **FIRST_MODEL, timeout_seconds=900)
    assert told.returncode == 0, told.stdout[-6000:]
    for dag_id in (TRAIN, DRIFT):  # at three o'clock another model would take its place
        stack.airflow.call("PATCH", f"/dags/{dag_id}", json={"is_paused": True})
    return Report.model_validate_json((PROJECT / "demo-report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def champion(stack: Stack, story: Report) -> str:
    """The MLflow run of the model that serves."""
    run_id = str(stack.predict(MODEL, EXAMPLE).json()["run_id"])
    assert run_id == story.promotions[-1].run_id
    return run_id


def left_of(engine: docker.DockerClient, project: str) -> list[str]:
    """What is left of a platform on the engine."""
    label = {"label": f"com.docker.compose.project={project}"}
    found = [*engine.containers.list(all=True, filters=label), *engine.networks.list(filters=label)]
    found += engine.containers.list(all=True, filters={"label": f"perennial.installation={project}"})
    list_volumes = ["docker", "volume", "ls", "--quiet", "--filter", f"label={label['label']}"]
    volumes = subprocess.run(list_volumes, check=True, capture_output=True, text=True)
    return [*(one.name for one in found), *volumes.stdout.split()]
