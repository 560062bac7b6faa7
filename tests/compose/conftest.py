"""One whole platform in containers for all of these tests, beside any other that the engine may hold."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from tests.compose.stack import Stack
from tests.compose.witnesses import wait_until

PROJECT_NAME = "perennial-tests"
MODEL = "review_sentiment"
LAST = "test_scale_out.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What gives the platform other images and then ends it comes last."""
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """The Docker engine of this machine."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    return client


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def stack_of(engine: docker.DockerClient, project: str, folder: Path) -> Stack:
    """A platform with ports of its own, not started."""
    stack = Stack(project, folder, engine)
    https, http = free_ports(2)
    stack.set(HTTPS_PORT=str(https), HTTP_PORT=str(http))
    return stack


@pytest.fixture(scope="session")
def stack(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The platform, every service healthy. It is the session's: a test leaves it healthy.

    What an earlier session left behind because it was killed is removed first.
    """
    made = stack_of(engine, PROJECT_NAME, tmp_path_factory.mktemp("compose"))
    made.make("down")
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    try:
        up = made.make("up", timeout_seconds=3000)
        assert up.returncode == 0, up.stdout[-6000:]
        yield made
    finally:
        if bundle is None:
            os.environ.pop("REQUESTS_CA_BUNDLE", None)
        else:
            os.environ["REQUESTS_CA_BUNDLE"] = bundle
        down = made.make("down")
    assert down.returncode == 0, down.stdout
    assert not left_of(engine, PROJECT_NAME)


@pytest.fixture(scope="session")
def reviews(stack: Stack) -> None:
    """3,000 reviews have joined the lake."""
    stack.land_examples(MODEL, "reviews", rows=3000)
    airflow = stack.airflow
    airflow.wait_for_dags(["ingest_reviews"], timeout_seconds=60)
    airflow.unpause("ingest_reviews")
    airflow.wait("ingest_reviews", airflow.trigger("ingest_reviews"), timeout_seconds=300)


@pytest.fixture(scope="session")
def champion(stack: Stack, reviews: None) -> str:
    """The MLflow run of the model that serves.

    The run of its schedule that comes with switching its DAG on has trained it.
    """
    airflow, dag_id = stack.airflow, f"train_{MODEL}"
    airflow.wait_for_dags([dag_id], timeout_seconds=60)
    airflow.unpause(dag_id)
    run = wait_until(
        lambda: next(iter(airflow.runs(dag_id)), None), "the run of the schedule", timeout_seconds=60
    )
    airflow.wait(dag_id, run["dag_run_id"], timeout_seconds=900)
    example = {"text": "A quiet, wonderful film with a great cast."}
    return str(stack.predict(MODEL, example).json()["run_id"])


def left_of(engine: docker.DockerClient, project: str) -> list[str]:
    """What is left of a platform on the engine."""
    label = {"label": f"com.docker.compose.project={project}"}
    found = [*engine.containers.list(all=True, filters=label), *engine.networks.list(filters=label)]
    found += engine.containers.list(all=True, filters={"label": f"perennial.installation={project}"})
    list_volumes = ["docker", "volume", "ls", "--quiet", "--filter", f"label={label['label']}"]
    volumes = subprocess.run(list_volumes, check=True, capture_output=True, text=True)
    return [*(one.name for one in found), *volumes.stdout.split()]
