"""The public bases, and containers of them that live as long as a test."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.containers.said import said

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

BASES = ("python:3.11-slim-bookworm", "postgres:15-bookworm", "redis:7-bookworm", "nginx:1.28-bookworm")


@pytest.fixture(scope="module")
def bases(engine: "DockerClient") -> None:
    """Every base is there under its public name; what is absent is neither pulled nor made by a test."""
    there = {tag for image in engine.images.list() for tag in image.tags}
    if missing := sorted(set(BASES) - there):
        pytest.skip(f"The engine has no {', '.join(missing)}: docker pull, or containers/airgap/bases.sh.")


@contextmanager
def running(
    engine: "DockerClient", image: str, command: list[str] | None = None, **options: Any
) -> "Iterator[Container]":
    container = engine.containers.run(
        image, command, detach=True, labels={"perennial.test": "bases"}, **options
    )
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


def inside(container: "Container", command: str) -> tuple[int, str]:
    code, told = said(container, "sh", "-c", command)
    return code, told.decode().strip()


def until(container: "Container", true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        container.reload()
        assert container.status == "running", container.logs().decode()[-2000:]
        assert time.monotonic() < deadline, container.logs().decode()[-2000:]
        time.sleep(0.2)
