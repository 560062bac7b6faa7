"""The object store's image: runs without rights, keeps what it was given, and stops when it is told to."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tasks.settings import PROJECT
from tests.containers.said import said

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

KEYS = {"AWS_ACCESS_KEY_ID": "perennial:tests", "AWS_SECRET_ACCESS_KEY": "of-the-tests-only"}
MEMORY_BYTES = 400 << 20

Run = Callable[[], "Container"]


@pytest.fixture(scope="module")
def image() -> str:
    file = PROJECT / ".perennial" / "images.env"
    lines = dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}
    if "PERENNIAL_OBJECTSTORE_IMAGE" not in lines:
        pytest.skip("The images are not built: run `make images`.")
    return lines["PERENNIAL_OBJECTSTORE_IMAGE"]


@pytest.fixture
def run(engine: "DockerClient", image: str) -> Iterator[Run]:
    """Start a node on one volume, as docker-compose.yaml does, and wait until it is healthy."""
    name = f"perennial-test-{secrets.token_hex(4)}"
    volume = engine.volumes.create(name, labels={"perennial.test": name})

    def started() -> "Container":
        node = engine.containers.run(
            image,
            detach=True,
            labels={"perennial.test": name},
            environment={**KEYS, "OBJECTSTORE_BUCKETS": "perennial"},
            read_only=True,
            tmpfs={"/tmp": "mode=1777"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=MEMORY_BYTES,
            volumes={name: {"bind": "/srv/objectstore", "mode": "rw"}},
            ports={"9000/tcp": ("127.0.0.1", None)},
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            node.reload()
            if node.attrs["State"]["Health"]["Status"] == "healthy":
                return node
            time.sleep(0.3)
        pytest.fail(node.logs().decode())

    yield started
    for left in engine.containers.list(all=True, filters={"label": f"perennial.test={name}"}):
        left.remove(force=True)
    volume.remove()


def client(node: "Container") -> Any:
    import boto3

    port = node.attrs["NetworkSettings"]["Ports"]["9000/tcp"][0]["HostPort"]
    secret = {
        "aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"],
    }
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", **secret)


def test_a_node_without_rights_has_what_one_that_was_killed_was_given_and_stops_when_it_is_told_to(
    run: Run,
) -> None:
    first = run()
    client(first).put_object(Bucket="perennial", Key="lake/a", Body=b"kept", IfNoneMatch="*")
    first.remove(force=True)
    second = run()
    assert client(second).get_object(Bucket="perennial", Key="lake/a")["Body"].read() == b"kept"
    assert second.stats(stream=False)["memory_stats"]["usage"] < MEMORY_BYTES
    with pytest.raises(Exception, match="PreconditionFailed"):
        client(second).put_object(Bucket="perennial", Key="lake/a", Body=b"again", IfNoneMatch="*")
    assert said(second, "id", "-u") == (0, b"10001\n")
    started = time.monotonic()
    second.stop(timeout=30)
    assert time.monotonic() - started < 15
    second.reload()
    assert second.attrs["State"]["ExitCode"] == 0


def test_a_node_that_loses_a_process_ends_so_that_it_is_started_again(run: Run) -> None:
    node = run()
    node.exec_run(
        [
            "python",
            "-c",
            "import os, signal; os.kill(max(int(p) for p in os.listdir('/proc') if p.isdigit() and "
            "int(p) != os.getpid()), signal.SIGKILL)",
        ]
    )
    assert node.wait(timeout=30)["StatusCode"] == 1
    assert b"ended with -9" in node.logs()
