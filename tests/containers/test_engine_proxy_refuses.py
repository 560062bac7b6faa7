"""What would harm the host of a real engine, or is written as no client would, does not pass its proxy."""

import io
import json
import secrets
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError
from docker.models.containers import Container
from docker.types import DeviceRequest, Mount

from tests.containers.proxies import MIB, Proxy, proxy_process

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
