"""The proxy in front of a real engine: what a step needs
works through it, and what would harm the host does not.
"""

import io
import json
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
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import DeviceRequest, Mount

from tasks.settings import settings
from tests.containers.following import job_of

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
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
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


# --- what a step needs --------------------------------------------------------------------------------------


def test_a_step_runs_through_the_proxy_from_creation_to_removal(proxy: Proxy, step: dict[str, Any]) -> None:
    program = (
        "import os, sys; print(os.getuid(), open('/proc/self/status').read()); open('/scratch/x', 'w'); "
        "sys.exit(10)"
    )
    created = proxy.client.containers.create(**step | {"command": python(program)})
    created.start()
    assert created.wait()["StatusCode"] == 10
    log = created.logs().decode()
    assert log.startswith("10001 ")
    assert "CapEff:\t0000000000000000" in log
    assert "NoNewPrivs:\t1" in log
    assert [found.id for found in proxy.client.containers.list(all=True)] == [created.id]
    assert proxy.client.containers.get(step["name"]).attrs["HostConfig"]["Memory"] == 256 * MIB
    created.remove(force=True, v=True)
    with pytest.raises(NotFound):
        proxy.client.containers.get(step["name"])


def test_a_line_of_the_log_comes_while_the_step_still_runs(proxy: Proxy, step: dict[str, Any]) -> None:
    program = "import time; print('first'); time.sleep(600)"
    running = proxy.client.containers.run(**step | {"command": python(program)})
    lines = running.logs(stream=True, follow=True)
    assert next(lines) == b"first\n"
    running.reload()
    assert running.status == "running"
    running.kill()
    assert list(lines) == []
    assert running.wait()["StatusCode"] == 137


def test_a_name_that_is_taken_stays_taken(proxy: Proxy, step: dict[str, Any]) -> None:
    first = proxy.client.containers.create(**step)
    with pytest.raises(APIError) as taken:
        proxy.client.containers.create(**step)
    assert taken.value.status_code == 409
    assert first.id in str(taken.value)


def test_much_output_passes_without_filling_memory(proxy: Proxy, step: dict[str, Any]) -> None:
    program = "import sys; [sys.stdout.write('x' * 65535 + chr(10)) for _ in range(1600)]"
    talking = proxy.client.containers.run(**step | {"command": python(program)})
    assert talking.wait()["StatusCode"] == 0
    assert sum(len(part) for part in talking.logs(stream=True, follow=True)) == 1600 * 65536
    assert proxy.process.memory_info().rss < PROXY_MEMORY


def test_a_reader_that_does_not_read_fills_no_memory(proxy: Proxy, step: dict[str, Any]) -> None:
    program = "import sys; [sys.stdout.write('x' * 65535 + chr(10)) for _ in range(1600)]"
    talking = proxy.client.containers.run(**step | {"command": python(program)})
    assert talking.wait()["StatusCode"] == 0
    with closing(socket.create_connection(("127.0.0.1", proxy.port))) as connection:
        connection.sendall(
            f"GET /containers/{talking.id}/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        time.sleep(2)
        assert proxy.process.memory_info().rss < PROXY_MEMORY


def test_a_caller_that_hangs_up_leaves_no_connection_to_the_engine(
    proxy: Proxy, step: dict[str, Any]
) -> None:
    silent = proxy.client.containers.run(**step | {"command": ["sleep", "600"]})
    before = proxy.process.num_fds()
    waiting = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(5)]
    for connection in waiting:
        connection.sendall(
            f"GET /containers/{silent.id}/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert proxy.process.num_fds() >= before + 10
    for connection in waiting:
        connection.close()
    deadline = time.monotonic() + 10
    while proxy.process.num_fds() > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert proxy.process.num_fds() <= before


def test_the_docker_runner_reaches_the_engine_through_it(
    engine: docker.DockerClient, store: Path, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_STEP_NETWORK", network)
    place = {
        name: os.environ[f"PERENNIAL_{name}"] for name in ("INSTALLATION", "STEP_NETWORK", "STEP_MOUNTS")
    }
    folder = store / "store" / "runs" / "step"
    folder.mkdir(parents=True)
    (folder / "script.json").write_text(json.dumps([["say", "first", "second"]]))
    with proxy_process(**place, ENGINE_IMAGES=os.environ["PERENNIAL_STEP_IMAGE"]) as (port, _process):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        settings.cache_clear()
        job = job_of(folder)
        assert job.follow(job.submit())["prediction_rows"] == 7
        assert job.log.lines == ["first", "second"]
        assert job.runner.list_left() == []


def test_its_image_needs_no_root_and_writes_nowhere(engine: docker.DockerClient, image: str) -> None:
    made = PROJECT / ".perennial" / "images.env"
    built = dict(line.split("=", 1) for line in made.read_text().splitlines()) if made.exists() else {}
    if "PERENNIAL_ENGINE_IMAGE" not in built:
        pytest.skip("The image is not built here; `make images` builds it.")
    running = engine.containers.run(
        built["PERENNIAL_ENGINE_IMAGE"],
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        network_mode="none",
        group_add=[str(Path("/var/run/docker.sock").stat().st_gid)],
        volumes=["/var/run/docker.sock:/var/run/docker.sock"],
        environment={
            "PERENNIAL_INSTALLATION": "x",
            "PERENNIAL_STEP_NETWORK": "x",
            "PERENNIAL_ENGINE_IMAGES": image,
        },
    )
    try:
        deadline = time.monotonic() + 20
        while (
            checked := running.exec_run(["python", "containers/engine/health.py"])
        ).exit_code and time.monotonic() < deadline:
            time.sleep(0.2)
        assert checked.exit_code == 0, running.logs().decode()
        assert running.exec_run("id -u").output.strip() == b"10001"
        running.stop(timeout=10)
        assert running.wait()["StatusCode"] == 0
    finally:
        running.remove(force=True)


# --- what would harm the host -------------------------------------------------------------------------------

HARMFUL: dict[str, dict[str, Any]] = {
    "privileged": {"privileged": True},
    "a capability": {"cap_add": ["SYS_ADMIN"]},
    "the host's root as a mount": {"mounts": [Mount("/host", "/", type="bind")]},
    "the host's root as a bind": {"mounts": [], "volumes": ["/:/host"]},
    "the socket": {"mounts": [], "volumes": ["/var/run/docker.sock:/var/run/docker.sock"]},
    "an undeclared volume": {"mounts": [Mount("/srv/models", "other", type="volume")]},
    "a volume that is the host's root": {
        "mounts": [
            Mount(
                "/srv/models",
                "fresh",
                type="volume",
                driver_config={"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}},
            )
        ]
    },
    "another's volumes": {"volumes_from": ["postgres"]},
    "a device": {"devices": ["/dev/sda:/dev/sda:rwm"]},
    "all devices": {"device_cgroup_rules": ["a *:* rwm"]},
    "a device that is no GPU": {"device_requests": [DeviceRequest(count=-1, capabilities=[["fpga"]])]},
    "the host's network": {"network": None, "network_mode": "host"},
    "the default network": {"network": "bridge"},
    "the host's processes": {"pid_mode": "host"},
    "the host's memory segments": {"ipc_mode": "host"},
    "the host's users": {"userns_mode": "host"},
    "the host's name": {"uts_mode": "host"},
    "the host's control groups": {"cgroupns": "host"},
    "no seccomp": {"security_opt": ["no-new-privileges", "seccomp=unconfined"]},
    "new privileges": {"security_opt": []},
    "all capabilities": {"cap_drop": []},
    "root": {"user": "0"},
    "the image's user": {"user": None},
    "a published port": {"ports": {"80/tcp": 8080}},
    "no limit of memory": {"mem_limit": None, "memswap_limit": None},
    "too much memory": {"mem_limit": "2g", "memswap_limit": "2g"},
    "swap": {"memswap_limit": -1},
    "no limit of processes": {"pids_limit": -1},
    "a kernel parameter": {"sysctls": {"net.ipv4.ip_forward": "1"}},
    "a writable root": {"read_only": False},
    "another image": {"image": "postgres:15-bookworm"},
    "another's label": {"labels": {"perennial.installation": "somebody-else", "perennial.step": "x"}},
    "no label": {"labels": {}},
    "a service's name": {"name": "perennial_postgres_1"},
    "an endless restart": {"restart_policy": {"Name": "always"}},
    "a log to elsewhere": {
        "log_config": {"Type": "syslog", "Config": {"syslog-address": "tcp://192.0.2.1:514"}}
    },
    "a loader's variable": {"environment": {"LD_PRELOAD": "/proc/self/cwd/x.so"}},
}


@pytest.mark.parametrize("harm", HARMFUL)
def test_a_container_that_could_harm_the_host_is_not_created(
    proxy: Proxy, step: dict[str, Any], harm: str
) -> None:
    with pytest.raises(APIError) as refused:
        proxy.client.containers.create(**step | HARMFUL[harm])
    assert refused.value.status_code == 403
    assert refused.value.explanation.endswith(".")
    assert proxy.all() == []


def test_a_container_of_others_is_out_of_reach(proxy: Proxy, foreign: Container) -> None:
    api = proxy.client.api
    for attempt in (
        api.inspect_container,
        api.logs,
        api.start,
        api.kill,
        api.stop,
        api.wait,
        lambda named: api.remove_container(named, force=True),
    ):
        for named in (foreign.id, foreign.short_id, foreign.name):
            with pytest.raises(APIError) as refused:
                attempt(named)
            assert refused.value.status_code == 403
    foreign.reload()
    assert foreign.status == "running"


def test_the_list_shows_only_ours_whatever_is_asked_for(
    proxy: Proxy, step: dict[str, Any], foreign: Container
) -> None:
    ours = proxy.client.containers.create(**step)
    asked = [
        {},
        {"label": "perennial.installation=somebody-else"},
        {"id": foreign.id},
        {"name": foreign.name},
    ]
    found = [
        {row["Id"] for row in proxy.client.api.containers(all=True, filters=filters)} for filters in asked
    ]
    assert found == [{ours.id}, set(), set(), set()]


def test_nothing_else_of_the_engine_is_in_reach(proxy: Proxy, step: dict[str, Any]) -> None:
    running = proxy.client.containers.run(**step | {"command": ["sleep", "600"]})
    client, api = proxy.client, proxy.client.api
    for attempt in (
        lambda: running.exec_run("id", user="0", privileged=True),
        lambda: running.attach(stream=True),
        lambda: running.put_archive("/scratch", b""),
        lambda: running.get_archive("/etc/passwd"),
        lambda: running.update(mem_limit="4g"),
        lambda: running.rename("perennial_postgres_1"),
        lambda: running.commit("evil"),
        lambda: next(running.export()),
        client.images.list,
        lambda: client.images.get("postgres:15-bookworm"),
        lambda: client.images.pull("alpine", "latest"),
        lambda: client.images.build(fileobj=io.BytesIO(), custom_context=True),
        lambda: client.volumes.create("evil", driver_opts={"type": "none", "o": "bind", "device": "/"}),
        lambda: client.networks.create("evil", driver="host"),
        client.networks.list,
        api.init_swarm,
        client.info,
        client.containers.prune,
        lambda: api.create_container_from_config({}, "x"),
    ):
        with pytest.raises(APIError) as refused:
            attempt()
        assert refused.value.status_code == 403
    running.reload()
    assert running.status == "running"


def test_as_many_containers_exist_as_may(proxy: Proxy, step: dict[str, Any]) -> None:
    for number in range(5):
        proxy.client.containers.create(**step | {"name": f"perennial-{number:020x}"})
    with pytest.raises(APIError, match="PERENNIAL_ENGINE_CONTAINERS") as full:
        proxy.client.containers.create(**step | {"name": f"perennial-{5:020x}"})
    assert full.value.is_server_error()


# --- what no client would send ------------------------------------------------------------------------------


def create_request(body: bytes, *headers: str, length: int | None = None) -> bytes:
    name = f"perennial-{secrets.token_hex(10)}"
    lines = [
        f"POST /v1.41/containers/create?name={name} HTTP/1.1",
        "Host: engine",
        "Content-Type: application/json",
        *headers,
    ]
    if not any(header.startswith("Transfer-Encoding") for header in headers):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def minimal(proxy: Proxy, image: str, network: str) -> dict[str, Any]:
    return {
        "Image": image,
        "User": "10001",
        "Cmd": ["true"],
        "Labels": proxy.labels(),
        "HostConfig": {
            "NetworkMode": network,
            "Memory": 64 * MIB,
            "MemorySwap": 64 * MIB,
            "NanoCpus": 10**9,
            "PidsLimit": 16,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
        },
    }


def test_a_field_in_two_spellings_does_not_slip_through(
    proxy: Proxy, image: str, network: str, step: dict[str, Any]
) -> None:
    good = json.dumps(minimal(proxy, image, network)).encode()
    assert b" 201 " in proxy.send(create_request(good)).splitlines()[0]
    for twice in (b'"Privileged": false, "privileged": true, ', b'"Privileged": false, "Privileged": true, '):
        answer = proxy.send(create_request(good.replace(b'"Memory"', twice + b'"Memory"', 1)))
        assert b" 403 " in answer.splitlines()[0]
        assert b'"message"' in answer
    assert [found.attrs["HostConfig"]["Privileged"] for found in proxy.all()] == [False]


def test_a_body_in_chunks_is_checked_as_a_whole(
    proxy: Proxy, image: str, network: str, step: dict[str, Any]
) -> None:
    good = json.dumps(minimal(proxy, image, network)).encode()
    bad = good.replace(b'"Memory"', b'"Privileged": true, "Memory"', 1)
    for body, status in ((good, b" 201 "), (bad, b" 403 ")):
        chunks = (
            b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:100], body[100:])) + b"0\r\n\r\n"
        )
        assert status in proxy.send(create_request(chunks, "Transfer-Encoding: chunked")).splitlines()[0]


def test_a_request_within_a_request_is_not_answered(
    proxy: Proxy, image: str, network: str, step: dict[str, Any]
) -> None:
    good = json.dumps(minimal(proxy, image, network)).encode()
    hidden = b"POST /v1.41/containers/prune HTTP/1.1\r\nHost: x\r\n\r\n"
    both = create_request(b"0\r\n\r\n" + hidden, "Transfer-Encoding: chunked", f"Content-Length: {len(good)}")
    assert b" 400 " in proxy.send(both).splitlines()[0]
    twice = create_request(good + hidden, f"Content-Length: {len(good) + len(hidden)}", length=len(good))
    assert b" 400 " in proxy.send(twice).splitlines()[0]
    assert proxy.all() == []


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /v1.41/containers/{id}/exec",
        "POST /v1.41//containers/{id}/exec",
        "POST /v1.41/containers/x/../{id}/exec",
        "POST /v1.41/containers/{id}%2fexec",
        "POST /v1.41/containers/{id}/start?detachKeys=a",
        "POST /v1.23/containers/{id}/start",
        "GET http://engine/v1.41/info",
        "CONNECT engine:2375",
        "FOO /v1.41/containers/{id}/json",
    ],
)
def test_odd_ways_to_write_a_request_lead_nowhere(
    proxy: Proxy, step: dict[str, Any], request_line: str
) -> None:
    created = proxy.client.containers.create(**step)
    answer = proxy.send(
        f"{request_line.format(id=created.id)} HTTP/1.1\r\nHost: engine\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert answer.split()[1] in {b"400", b"403"}


def test_a_start_takes_no_body_and_no_connection_is_upgraded(proxy: Proxy, step: dict[str, Any]) -> None:
    created = proxy.client.containers.create(**step)
    start = f"POST /v1.41/containers/{created.id}/start HTTP/1.1\r\nHost: engine\r\n"
    body = '{"Privileged": true}'
    assert proxy.send(f"{start}Content-Length: {len(body)}\r\n\r\n{body}".encode()).split()[1] == b"403"
    assert proxy.send(f"{start}Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()).split()[1] == b"403"
    created.reload()
    assert created.status == "created"


def test_an_endless_body_is_refused(proxy: Proxy) -> None:
    answer = proxy.send(create_request(b" " * (2 * MIB)))
    assert answer.split()[1] == b"403"
    assert b"larger than" in answer


def test_without_an_engine_the_answer_says_so(tmp_path: Path) -> None:
    settings = {"INSTALLATION": "x", "STEP_NETWORK": "x", "ENGINE_IMAGES": "sha256:" + "a" * 64}
    with proxy_process(**settings, ENGINE_SOCKET=str(tmp_path / "none.sock")) as (port, _process):
        with pytest.raises(APIError) as unreachable:
            docker.APIClient(f"tcp://127.0.0.1:{port}", version="1.41").version()
        assert unreachable.value.status_code == 502
        assert "none.sock does not answer" in unreachable.value.explanation
