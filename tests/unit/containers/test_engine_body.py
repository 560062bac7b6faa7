"""Which container the proxy in front of the Docker socket lets
be created, held against what a hostile or clumsy caller would send.
"""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perennial_engine.body import HostConfig, check
from perennial_engine.rules import Refused

from tests.unit.containers.engine_requests import (
    BODY,
    DRIVER,
    GPUS,
    IMAGE,
    ROOT_OF_HOST,
    RULES,
    VOLUME,
    changed,
    sent,
    subset,
    without,
)


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
        check(text, RULES)


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
