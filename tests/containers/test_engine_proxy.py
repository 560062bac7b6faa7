"""What a step needs of a real engine works through the proxy in front of it."""

import json
import os
import socket
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, NotFound

from tasks.settings import settings
from tests.containers.following import job_of
from tests.containers.proxies import MIB, PROJECT, PROXY_MEMORY, Proxy, proxy_process, python
from tests.containers.said import said


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
    assert proxy.process.num_fds() > before + 5, "each has a connection to the engine beside its own"
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
        assert said(running, "id", "-u") == (0, b"10001\n")
        running.stop(timeout=10)
        assert running.wait()["StatusCode"] == 0
    finally:
        running.remove(force=True)
