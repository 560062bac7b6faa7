"""The proxy in front of a real engine, as a process of the tests, and what its callers ask for."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import Mount

from embedded.ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
BASE = "python:3.11-slim-bookworm"
MIB = 1 << 20
PROXY_MEMORY = 150 * MIB

Run = Callable[..., Container]


class Proxy:
    """A running proxy, a client that reaches the engine through it, and the engine itself."""

    def __init__(
        self, port: int, installation: str, process: subprocess.Popen[bytes], raw: docker.DockerClient
    ) -> None:
        self.port = port
        self.installation = installation
        self.process = psutil.Process(process.pid)
        self.raw = raw
        self.client = docker.DockerClient(f"tcp://127.0.0.1:{port}", timeout=20)

    def labels(self, **more: str) -> dict[str, str]:
        return {"perennial.installation": self.installation, "perennial.step": "test", **more}

    def all(self) -> list[Container]:
        """Each container of this installation, as the engine itself knows them."""
        return self.raw.containers.list(
            all=True, filters={"label": f"perennial.installation={self.installation}"}
        )

    def send(self, text: bytes) -> bytes:
        """The answer to bytes that no client would send."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=10)) as connection:
            connection.sendall(text)
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.endswith((b"}", b"\r\n", b"OK")):
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
        return answer


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient) -> str:
    """The id of the base image, which has a Python and belongs to no model."""
    try:
        return str(engine.images.get(BASE).id)
    except NotFound:
        return str(engine.images.pull(*BASE.split(":")).id)


@pytest.fixture(scope="module")
def network(engine: docker.DockerClient) -> Iterator[str]:
    made = engine.networks.create(f"engine-test-{secrets.token_hex(4)}", internal=True)
    yield str(made.name)
    made.remove()


@contextmanager
def proxy_process(**environment: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    named = {f"PERENNIAL_{name}": value for name, value in environment.items()}
    address = {"PERENNIAL_ENGINE_PORT": str(port), "PERENNIAL_ENGINE_HOST": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "perennial_engine"],
        env={**os.environ, **named, **address, "PYTHONPATH": str(PROJECT / "containers" / "engine")},
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def proxy(engine: docker.DockerClient, image: str, network: str) -> Iterator[Proxy]:
    installation = f"engine-test-{secrets.token_hex(4)}"
    settings = {
        "INSTALLATION": installation,
        "STEP_NETWORK": network,
        "ENGINE_IMAGES": image,
        "STEP_MOUNTS": f"{installation}:/srv/models",
        "ENGINE_CONTAINERS": "5",
        "ENGINE_MEMORY_MIB": "1024",
    }
    with proxy_process(**settings) as (port, process):
        running = Proxy(port, installation, process, engine)
        yield running
        running.client.close()
        for left in running.all():
            left.remove(force=True)
        for volume in engine.volumes.list(filters={"name": installation}):
            volume.remove()


@pytest.fixture
def step(proxy: Proxy, image: str, network: str) -> Iterator[dict[str, Any]]:
    """What the runner asks a container to be; what a test leaves is removed."""
    yield {
        "image": image,
        "command": ["python3", "-uc", "print('hello')"],
        "name": f"perennial-{secrets.token_hex(10)}",
        "detach": True,
        "user": "10001:0",
        "labels": proxy.labels(),
        "network": network,
        "mem_limit": "256m",
        "memswap_limit": "256m",
        "nano_cpus": 1_000_000_000,
        "pids_limit": 64,
        "shm_size": "16m",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "init": True,
        "tmpfs": {"/scratch": "rw,nosuid,nodev,size=64m,uid=10001,gid=0,mode=0700"},
        "mounts": [Mount("/srv/models", proxy.installation, type="volume")],
    }
    for left in proxy.all():
        left.remove(force=True)


@pytest.fixture
def foreign(proxy: Proxy, image: str) -> Iterator[Container]:
    """A container of somebody else on the same engine."""
    labels = {"perennial.installation": "somebody-else", "perennial.step": "theirs"}
    theirs = proxy.raw.containers.run(image, ["sleep", "600"], detach=True, labels=labels, init=True)
    yield theirs
    theirs.remove(force=True)


def python(program: str) -> list[str]:
    return ["python3", "-uc", program]
