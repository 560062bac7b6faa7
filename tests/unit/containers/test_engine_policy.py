"""What the proxy in front of the Docker socket lets through,
held against what a hostile or clumsy caller would send.
"""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perennial_engine.body import HostConfig, checked
from perennial_engine.policy import asked, is_ours, our_filters
from perennial_engine.rules import Refused, Rules, Volume
from perennial_engine.settings import EngineSettings
from pydantic import ValidationError

IMAGE = "sha256:" + "a" * 64
NAME = "perennial-0123456789abcdef0123"
RULES = Rules(
    installation="here",
    images=frozenset({IMAGE, "registry.example/perennial/ml@sha256:" + "b" * 64}),
    network="perennial_steps",
    volumes={
        "/srv/models": Volume("perennial_models", read_only=False),
        "/data": Volume("data", read_only=True),
    },
    memory_bytes=8 << 30,
    cpus=4,
    pids=4096,
)
GPUS = {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
BODY: dict[str, Any] = {
    "Image": IMAGE,
    "Cmd": [
        "python",
        "-m",
        "tasks",
        "train",
        "--request",
        "s3://perennial/r",
        "--result",
        "s3://perennial/s",
    ],
    "Env": ["PERENNIAL_STORE_URL=s3://perennial", "AWS_REGION=local", "EMPTY=", "LINES=a\nb"],
    "User": "10001:0",
    "Labels": {
        "perennial.installation": "here",
        "perennial.step": "train_x/manual__1/train",
        "perennial.map": "",
    },
    "HostConfig": {
        "NetworkMode": "perennial_steps",
        "Memory": 4 << 30,
        "MemorySwap": 4 << 30,
        "NanoCpus": 2_000_000_000,
        "PidsLimit": 4096,
        "ShmSize": 64 << 20,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "Init": True,
        "Tmpfs": {
            "/scratch": "rw,nosuid,nodev,size=2048m,uid=10001,gid=0,mode=0700",
            "/tmp": "rw,nosuid,nodev,size=64m,mode=1777",
        },
        "Mounts": [
            {"Type": "volume", "Source": "perennial_models", "Target": "/srv/models", "ReadOnly": False}
        ],
        "DeviceRequests": [GPUS],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "2"}},
    },
}
ROOT_OF_HOST = {"Type": "bind", "Source": "/", "Target": "/host"}
VOLUME = {"Type": "volume", "Source": "perennial_models", "Target": "/srv/models"}
DRIVER = {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}


def changed(where: str, value: Any) -> dict[str, Any]:
    """The good body with one field set."""
    body = copy.deepcopy(BODY)
    *path, last = where.split("/")
    part = body
    for name in path:
        part = part[name]
    part[last] = value
    return body


def without(where: str) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    *path, last = where.split("/")
    part = body
    for name in path:
        part = part[name]
    del part[last]
    return body


def sent(body: Any) -> Any:
    return json.loads(checked(json.dumps(body).encode(), RULES))


def subset(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(name in whole and subset(value, whole[name]) for name, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(subset, part, whole))
    return bool(part == whole)


def test_what_the_runner_asks_for_passes_unchanged() -> None:
    assert subset(BODY, sent(BODY))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("HostConfig/Privileged", True),
        ("HostConfig/privileged", True),
        ("HostConfig/PRIVILEGED", True),
        ("HostConfig/privileged", False),
        ("HostConfig/Privileged", 1),
        ("HostConfig/Privileged", "true"),
        ("HostConfig/Priv\u0131leged", True),
        ("hostconfig", {"Privileged": True}),
        ("Ho\u017ftConfig", {"Privileged": True}),
        ("HostConfig/Binds", ["/:/host"]),
        ("HostConfig/binds", ["/:/host"]),
        ("HostConfig/Binds", ["perennial_models:/srv/models"]),
        ("HostConfig/Mounts", [ROOT_OF_HOST]),
        ("HostConfig/Mounts", [{"Type": "npipe", "Source": "x", "Target": "/y"}]),
        ("HostConfig/Mounts", [{**VOLUME, "VolumeOptions": DRIVER}]),
        ("HostConfig/Mounts", [{**VOLUME, "volumeoptions": DRIVER}]),
        ("HostConfig/Mounts", [{**VOLUME, "BindOptions": {"Propagation": "rshared"}}]),
        ("HostConfig/Mounts", [{**VOLUME, "type": "bind"}]),
        ("HostConfig/Mounts", [{**VOLUME, "Source": "/var/run"}]),
        ("HostConfig/Mounts", [{**VOLUME, "Source": "perennial_postgres"}]),
        ("HostConfig/Mounts", [{**VOLUME, "Target": "/etc"}]),
        ("HostConfig/Mounts", [{**VOLUME, "Target": "/srv/models/"}]),
        ("HostConfig/Mounts", [{"Type": "volume", "Source": "data", "Target": "/data"}]),
        ("HostConfig/Mounts", [{"Type": "volume", "Target": "/srv/models"}]),
        ("HostConfig/Mounts", [{"Type": "tmpfs", "Target": "/x"}]),
        ("HostConfig/Mounts", [{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 64 << 30}}]),
        ("HostConfig/Mounts", [{"Type": "tmpfs", "Target": "/proc", "TmpfsOptions": {"SizeBytes": 1024}}]),
        ("HostConfig/Tmpfs", {"/x": ""}),
        ("HostConfig/Tmpfs", {"/x": "size=0x10"}),
        ("HostConfig/Tmpfs", {"/x": "size=1m,size=64g"}),
        ("HostConfig/Tmpfs", {"/x": "size=64g"}),
        ("HostConfig/Tmpfs", {"/x": "size=1m,rshared"}),
        ("HostConfig/Tmpfs", {"/x": "size=1m,suid"}),
        ("HostConfig/Tmpfs", {"/x/../../etc": "size=1m"}),
        ("HostConfig/Tmpfs", {"/dev/shm": "size=1m"}),
        ("HostConfig/VolumesFrom", ["postgres"]),
        ("HostConfig/VolumeDriver", "evil"),
        ("Volumes", {"/var/lib/x": {}}),
        ("HostConfig/CapAdd", ["SYS_ADMIN"]),
        ("HostConfig/CapAdd", ["ALL"]),
        ("HostConfig/CapDrop", ["NET_RAW"]),
        ("HostConfig/CapDrop", []),
        ("HostConfig/SecurityOpt", ["no-new-privileges", "seccomp=unconfined"]),
        ("HostConfig/SecurityOpt", ["no-new-privileges", "apparmor=unconfined"]),
        ("HostConfig/SecurityOpt", ["no-new-privileges:false"]),
        ("HostConfig/SecurityOpt", ["systempaths=unconfined"]),
        ("HostConfig/SecurityOpt", []),
        ("HostConfig/MaskedPaths", []),
        ("HostConfig/ReadonlyPaths", []),
        ("HostConfig/ReadonlyRootfs", False),
        ("HostConfig/NetworkMode", "host"),
        ("HostConfig/NetworkMode", "bridge"),
        ("HostConfig/NetworkMode", ""),
        ("HostConfig/NetworkMode", "container:postgres"),
        ("HostConfig/NetworkMode", "perennial_control"),
        ("NetworkingConfig", {"EndpointsConfig": {"perennial_control": {}}}),
        ("NetworkingConfig", {"EndpointsConfig": {"perennial_steps": {"Aliases": ["postgres"]}}}),
        ("HostConfig/PidMode", "host"),
        ("HostConfig/IpcMode", "host"),
        ("HostConfig/IpcMode", "container:x"),
        ("HostConfig/IpcMode", "shareable"),
        ("HostConfig/UTSMode", "host"),
        ("HostConfig/UsernsMode", "host"),
        ("HostConfig/CgroupnsMode", "host"),
        ("HostConfig/Cgroup", "container:x"),
        ("HostConfig/CgroupParent", "/"),
        (
            "HostConfig/Devices",
            [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}],
        ),
        ("HostConfig/DeviceCgroupRules", ["a *:* rwm"]),
        ("HostConfig/DeviceRequests", [{"Driver": "", "Count": -1, "Capabilities": [["tpu"]]}]),
        (
            "HostConfig/DeviceRequests",
            [{"Driver": "cdi", "DeviceIDs": ["vendor.com/device=all"], "Capabilities": [["gpu"]]}],
        ),
        ("HostConfig/DeviceRequests", [{"Driver": "", "Count": -1}]),
        ("HostConfig/DeviceRequests", [{**GPUS, "Options": {"x": "y"}}]),
        ("HostConfig/Runtime", "io.containerd.evil.v1"),
        ("HostConfig/Isolation", "process"),
        ("HostConfig/PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
        ("HostConfig/PublishAllPorts", True),
        ("ExposedPorts", {"80/tcp": {}}),
        ("HostConfig/Memory", 0),
        ("HostConfig/Memory", -1),
        ("HostConfig/Memory", 9 << 30),
        ("HostConfig/Memory", 1e9),
        ("HostConfig/MemorySwap", -1),
        ("HostConfig/Init", "yes"),
        ("HostConfig/KernelMemory", 1),
        ("HostConfig/OomKillDisable", True),
        ("HostConfig/OomScoreAdj", -1000),
        ("HostConfig/NanoCpus", 5_000_000_000),
        ("HostConfig/CpuQuota", -1),
        ("HostConfig/CpuRealtimeRuntime", 1),
        ("HostConfig/PidsLimit", -1),
        ("HostConfig/PidsLimit", 0),
        ("HostConfig/PidsLimit", 5000),
        ("HostConfig/ShmSize", 64 << 30),
        ("HostConfig/Ulimits", [{"Name": "nofile", "Soft": 1, "Hard": 1}]),
        ("HostConfig/Sysctls", {"kernel.core_pattern": "|/x"}),
        ("HostConfig/StorageOpt", {"size": "1T"}),
        ("HostConfig/GroupAdd", ["docker"]),
        ("HostConfig/ExtraHosts", ["gateway:host-gateway"]),
        ("HostConfig/Dns", ["10.0.0.1"]),
        ("HostConfig/Links", ["postgres"]),
        ("HostConfig/ContainerIDFile", "/etc/x"),
        ("HostConfig/RestartPolicy", {"Name": "always"}),
        ("HostConfig/LogConfig", {"Type": "syslog", "Config": {"syslog-address": "tcp://away.example"}}),
        ("HostConfig/LogConfig", {"Type": "json-file", "Config": {"env": "AWS_SECRET_ACCESS_KEY"}}),
        ("User", "root"),
        ("User", "0"),
        ("User", "00"),
        ("User", "0:0"),
        ("User", ""),
        ("User", "10001\n"),
        ("User", "+1"),
        ("User", "4294967296"),
        ("User", "perennial"),
        ("User", 10001),
        ("Image", "alpine"),
        ("Image", "perennial/ml:latest"),
        ("Image", IMAGE[:20]),
        ("Image", IMAGE + "\n"),
        ("Image", "sha256:" + "c" * 64),
        ("Labels", {"perennial.installation": "there", "perennial.step": "x"}),
        ("Labels", {"perennial.installation": "here"}),
        ("Labels", {"perennial.installation": ["here"], "perennial.step": "x"}),
        ("Labels/Perennial.Installation", "there"),
        ("Labels/com.docker.compose.project", "perennial"),
        ("Labels", {}),
        ("Env", ["LD_PRELOAD=/proc/self/cwd/x.so"]),
        ("Env", ["NVIDIA_VISIBLE_DEVICES=all"]),
        ("Env", ["A=\x00"]),
        ("Env", "A=b"),
        ("Cmd", "sh -c x"),
        ("Healthcheck", {"Test": ["CMD", "x"], "Interval": 1}),
        ("Tty", True),
        ("OpenStdin", True),
        ("AttachStdin", True),
        ("MacAddress", "02:42:ac:11:00:02"),
        ("OnBuild", ["x"]),
        ("Shell", ["x"]),
        ("HostConfig", None),
        ("HostConfig", []),
        ("AFieldOfTomorrow", True),
        ("HostConfig/AFieldOfTomorrow", 0),
    ],
)
def test_a_field_that_could_do_harm_is_refused(where: str, value: Any) -> None:
    with pytest.raises(Refused, match=r"\.$"):
        sent(changed(where, value))


@pytest.mark.parametrize(
    "where",
    [
        "Image",
        "User",
        "Labels",
        "HostConfig",
        *(
            f"HostConfig/{name}"
            for name in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit", "CapDrop", "SecurityOpt")
        ),
        "HostConfig/ReadonlyRootfs",
        "HostConfig/NetworkMode",
        "Labels/perennial.installation",
        "Labels/perennial.step",
    ],
)
def test_what_confines_a_container_may_not_be_left_out(where: str) -> None:
    with pytest.raises(Refused):
        sent(without(where))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        json.dumps(BODY).encode() + b'{"HostConfig": {"Privileged": true}}',
        json.dumps(BODY).encode().replace(b'"Memory"', b'"Privileged": false, "Privileged": true, "Memory"'),
        json.dumps(BODY).encode().replace(b'"Memory"', b'"Privileged": false, "privileged": true, "Memory"'),
        json.dumps(BODY).encode().replace(b'"Memory"', b'"Privileged": true, "Privileged": null, "Memory"'),
        json.dumps(BODY).encode()[:-1] + b', "HostConfig": {"Privileged": true}}',
        json.dumps(BODY).encode().replace(b'"User": "10001:0"', b'"User": "10001:0", "User": "0"'),
        json.dumps(changed("HostConfig/Memory", float("nan"))).encode(),
        json.dumps(changed("HostConfig/Memory", float("inf"))).encode(),
        json.dumps(BODY).encode().replace(b'"Memory": 4294967296', b'"Memory": ' + b"9" * 5000),
        json.dumps(changed("User", "\ud800")).encode(),
    ],
)
def test_a_body_that_two_readers_might_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        checked(text, RULES)


def test_every_fault_is_named_and_an_endless_list_is_cut() -> None:
    body = changed("HostConfig/Privileged", True)
    body["HostConfig"] |= {f"Unknown{number}": 1 for number in range(50)}
    with pytest.raises(Refused, match=r"HostConfig\.Privileged: .*and 41 more\.$"):
        sent(body)
    with pytest.raises(Refused, match=r"Image 'alpine' .*; HostConfig.Memory is .* bytes, the limit is"):
        sent(changed("HostConfig/Memory", 9 << 30) | {"Image": "alpine"})


def test_memory_of_a_known_size_may_be_mounted() -> None:
    mount = {"Type": "tmpfs", "Target": "/cache", "TmpfsOptions": {"SizeBytes": 1 << 20}}
    assert subset([mount], sent(changed("HostConfig/Mounts", [mount]))["HostConfig"]["Mounts"])


def test_fields_that_are_null_count_as_absent() -> None:
    assert sent(changed("Entrypoint", None) | {"MacAddress": None}) == sent(BODY)
    with pytest.raises(Refused):
        sent(changed("User", None))


VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        "",
        "0",
        "1000",
        "host",
        "private",
        [],
        {},
        ["/:/host"],
        ["ALL"],
        [ROOT_OF_HOST],
    ]
)
FIELDS = [
    "Privileged",
    "Binds",
    "CapAdd",
    "CapDrop",
    "User",
    "Mounts",
    "PidMode",
    "Devices",
    "SecurityOpt",
    "NetworkMode",
    "Image",
]
NAMES = st.sampled_from([*FIELDS, *map(str.lower, FIELDS)])
HOST_NAMES = st.sampled_from(sorted(HostConfig.model_json_schema()["properties"])) | NAMES


@settings(max_examples=300, deadline=None)
@given(top=st.dictionaries(NAMES, VALUES, max_size=1), host=st.dictionaries(HOST_NAMES, VALUES, max_size=2))
def test_whatever_is_added_only_a_harmless_container_is_asked_for(
    top: dict[str, Any], host: dict[str, Any]
) -> None:
    body = copy.deepcopy(BODY) | top
    body["HostConfig"] |= host
    try:
        written = sent(body)
    except Refused:
        return
    confined = {
        name: written["HostConfig"][name]
        for name in ("Privileged", "Binds", "CapAdd", "CapDrop", "PidMode", "Devices")
    }
    assert confined == {
        "Privileged": False,
        "Binds": [],
        "CapAdd": [],
        "CapDrop": ["ALL"],
        "PidMode": "",
        "Devices": [],
    }
    assert (written["Image"], written["HostConfig"]["NetworkMode"]) == (IMAGE, "perennial_steps")
    assert int(written["User"].partition(":")[0]) > 0


# --- requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", "/_ping", "ping"),
        ("HEAD", "/_ping", "ping"),
        ("GET", "/version", "version"),
        ("GET", "/v1.41/version", "version"),
        ("GET", f"/v1.41/images/{IMAGE}/json", "image"),
        ("GET", f"/v1.43/images/registry.example/perennial/ml%40sha256:{'b' * 64}/json", "image"),
        ("POST", f"/v1.41/containers/create?name={NAME}", "create"),
        ("POST", f"/v1.41/containers/{NAME}/start", "start"),
        ("GET", f"/containers/{NAME}/json", "inspect"),
        (
            "GET",
            "/v1.41/containers/abc/logs?stderr=1&stdout=1&timestamps=1&follow=0&tail=all"
            "&since=1732104000.123",
            "logs",
        ),
        ("POST", "/v1.41/containers/abc/wait?condition=not-running", "wait"),
        ("POST", "/v1.41/containers/abc/kill?signal=SIGKILL", "kill"),
        ("POST", "/v1.41/containers/abc/stop?t=10", "stop"),
        ("DELETE", "/v1.41/containers/abc?v=True&link=False&force=True", "remove"),
        ("GET", "/v1.41/containers/json?all=1&limit=-1&size=0", "list"),
    ],
)
def test_what_the_runner_asks_is_understood(method: str, target: str, name: str) -> None:
    assert asked(method, target, RULES).route.name == name


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1.41/containers/abc/exec"),
        ("POST", "/v1.41/exec/abc/start"),
        ("POST", "/v1.41/containers/abc/attach?stream=1"),
        ("GET", "/v1.41/containers/abc/attach/ws"),
        ("POST", "/v1.41/containers/abc/update"),
        ("POST", "/v1.41/containers/abc/rename?name=postgres"),
        ("POST", "/v1.41/containers/prune"),
        ("PUT", "/v1.41/containers/abc/archive?path=/"),
        ("GET", "/v1.41/containers/abc/archive?path=/etc"),
        ("GET", "/v1.41/containers/abc/export"),
        ("GET", "/v1.41/containers/abc/top"),
        ("GET", "/v1.41/containers/abc/changes"),
        ("POST", "/v1.41/commit?container=abc"),
        ("POST", "/v1.41/build"),
        ("POST", "/v1.41/images/create?fromImage=alpine&tag=latest"),
        ("POST", f"/v1.41/images/create?fromImage=registry.example/perennial/ml&tag=sha256:{'b' * 64}"),
        ("POST", "/v1.41/images/create?fromSrc=-"),
        ("POST", "/v1.41/images/load"),
        ("POST", f"/v1.41/images/{IMAGE}/tag?repo=x"),
        ("POST", f"/v1.41/images/{IMAGE}/push"),
        ("DELETE", f"/v1.41/images/{IMAGE}"),
        ("GET", f"/v1.41/images/{IMAGE}/get"),
        ("GET", "/v1.41/images/json"),
        ("GET", "/v1.41/images/alpine/json"),
        ("GET", f"/v1.41/images/{IMAGE}/../../info"),
        ("POST", "/v1.41/volumes/create"),
        ("GET", "/v1.41/volumes"),
        ("POST", "/v1.41/networks/create"),
        ("POST", "/v1.41/networks/perennial_control/connect"),
        ("POST", "/v1.41/swarm/init"),
        ("POST", "/v1.41/services/create"),
        ("POST", "/v1.41/plugins/pull"),
        ("POST", "/v1.41/secrets/create"),
        ("GET", "/v1.41/configs"),
        ("POST", "/v1.41/auth"),
        ("POST", "/v1.41/session"),
        ("POST", "/grpc"),
        ("GET", "/v1.41/info"),
        ("GET", "/v1.41/events"),
        ("GET", "/v1.41/system/df"),
        ("GET", "/debug/pprof/"),
        ("OPTIONS", "/v1.41/containers/json"),
        ("PATCH", "/v1.41/containers/abc"),
        ("post", f"/v1.41/containers/create?name={NAME}"),
        ("GET", f"/v1.41/containers/create?name={NAME}"),
        ("CONNECT", "engine:2375"),
        ("GET", "http://engine/_ping"),
        ("GET", "*"),
        ("GET", ""),
    ],
)
def test_every_other_request_is_refused(method: str, target: str) -> None:
    with pytest.raises(Refused):
        asked(method, target, RULES)


@pytest.mark.parametrize(
    "target",
    [
        "//containers/abc/json",
        "/v1.41//containers/abc/json",
        "/v1.41/../containers/abc/json",
        "/v1.41/containers/./abc/json",
        "/v1.41/containers/../abc/json",
        "/v1.41/containers/%61bc/json",
        "/v1.41/containers/%2e%2e/json",
        "/v1.41/containers/a%2fb/json",
        "/v1.41/containers/a b/json",
        "/v1.41/containers/../json",
        "/v1.41/containers//json",
        "/v1.41/containers/abc/json/",
        "/v1.41/containers/abc/json;x",
        "/v1.41/containers/abc/json#x",
        "/v1.41/containers/abc/json%00",
        "/v1.41/containers/abc/json\n",
        "/v1.41/containers/abc\\json",
        "/v1.41/Containers/abc/json",
        "/v1.41/v1.41/containers/abc/json",
        "/v1.24/containers/abc/json",
        "/v1.5/containers/abc/json",
        "/v1.411/containers/abc/json",
        "/v2.0/containers/abc/json",
        "/v1.\u0664\u0661/containers/abc/json",
        "/v1.41/containers/\u00e9/json",
        "/v1.41/containers/" + "a" * 129 + "/json",
    ],
)
def test_a_path_that_is_not_written_plainly_is_refused(target: str) -> None:
    with pytest.raises(Refused):
        asked("GET", target, RULES)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/containers/create"),
        ("POST", "/containers/create?name=postgres"),
        ("POST", "/containers/create?name=perennial-postgres-1"),
        ("POST", f"/containers/create?name={NAME}&name=postgres"),
        ("POST", f"/containers/create?name={NAME}&platform=linux/arm64"),
        ("POST", f"/containers/create?name={NAME}%0a"),
        ("POST", f"/containers/create?name={NAME};x=y"),
        ("POST", "/containers/abc/start?detachKeys=x"),
        ("POST", "/containers/abc/kill?signal=SIGSTOP"),
        ("POST", "/containers/abc/kill?signal=9&signal=19"),
        ("POST", "/containers/abc/kill?signal=9&signal=15"),
        ("POST", "/containers/abc/stop?t=-1"),
        ("DELETE", "/containers/abc?link=1"),
        ("DELETE", "/containers/abc?force=maybe"),
        ("GET", "/containers/abc/logs?follow"),
        ("GET", "/containers/abc/logs?tail=-5"),
        ("GET", "/containers/abc/logs?" + "&".join(f"a{number}=1" for number in range(50))),
        ("GET", "/containers/abc/json?x=%ff"),
    ],
)
def test_a_parameter_that_is_unknown_doubled_or_odd_is_refused(method: str, target: str) -> None:
    with pytest.raises(Refused):
        asked(method, target, RULES)


@given(method=st.sampled_from(["GET", "POST", "DELETE"]), rest=st.text(max_size=60))
def test_no_text_at_all_makes_the_policy_fail_otherwise_than_by_refusing(method: str, rest: str) -> None:
    for target in (rest, f"/v1.41/containers/{rest}", f"/containers/abc/logs?{rest}", f"/images/{rest}/json"):
        try:
            found = asked(method, target, RULES)
        except Refused:
            continue
        assert "/" not in found.subject or found.route.name == "image"


def test_an_image_is_pulled_only_by_its_allowed_digest_where_pulling_is_allowed() -> None:
    rules = Rules(installation="here", images=RULES.images, network="n", pull=True)
    digest = f"tag=sha256:{'b' * 64}"
    assert (
        asked("POST", f"/images/create?fromImage=registry.example/perennial/ml&{digest}", rules).route.name
        == "pull"
    )
    for query in (
        f"fromImage=alpine&{digest}",
        "fromImage=registry.example/perennial/ml&tag=latest",
        "fromSrc=-",
        "",
    ):
        with pytest.raises(Refused):
            asked("POST", f"/images/create?{query}", rules)


def test_only_steps_of_this_installation_are_ours() -> None:
    ours = {"perennial.installation": "here", "perennial.step": "x"}
    assert is_ours(ours, RULES)
    assert not is_ours(ours | {"perennial.installation": "there"}, RULES)
    assert not is_ours({"perennial.installation": "here"}, RULES)
    assert not is_ours({}, RULES)
    assert not is_ours(None, RULES)


def test_a_list_is_always_narrowed_to_ours() -> None:
    ours = ["perennial.installation=here", "perennial.step"]
    assert json.loads(our_filters("", RULES)) == {"label": ours}
    assert json.loads(our_filters('{"label": ["a=b"], "status": {"running": true}}', RULES)) == {
        "label": ["a=b", *ours],
        "status": ["running"],
    }
    for text in (
        "[]",
        "x",
        '{"volume": ["x"]}',
        '{"label": [1]}',
        '{"label": "x"}',
        '{"label": [], "Label": []}',
    ):
        with pytest.raises(Refused):
            our_filters(text, RULES)


# --- settings -----------------------------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PERENNIAL_INSTALLATION", "here")
    monkeypatch.setenv("PERENNIAL_STEP_NETWORK", "perennial_steps")
    monkeypatch.setenv("PERENNIAL_ENGINE_IMAGES", f"{IMAGE}, registry.example/perennial/ml@sha256:{'b' * 64}")
    return monkeypatch


def test_the_settings_become_the_rules(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PERENNIAL_STEP_MOUNTS", "perennial_models:/srv/models, data:/data:ro")
    environment.setenv("PERENNIAL_ENGINE_MEMORY_MIB", "8192")
    environment.setenv("PERENNIAL_ENGINE_CPUS", "4")
    assert EngineSettings().rules() == RULES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PERENNIAL_ENGINE_IMAGES", "perennial/ml:latest"),
        ("PERENNIAL_ENGINE_IMAGES", ""),
        ("PERENNIAL_STEP_MOUNTS", "/:/host"),
        ("PERENNIAL_STEP_MOUNTS", "../x:/host"),
        ("PERENNIAL_STEP_MOUNTS", "models:relative"),
        ("PERENNIAL_STEP_MOUNTS", "models:/x:rshared"),
        ("PERENNIAL_STEP_NETWORK", "host"),
        ("PERENNIAL_STEP_NETWORK", ""),
        ("PERENNIAL_INSTALLATION", ""),
        ("PERENNIAL_INSTALLATION", "a=b"),
    ],
)
def test_settings_that_would_open_the_door_stop_the_service(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError):
        EngineSettings()
