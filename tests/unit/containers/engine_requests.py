"""What the runner asks of the proxy in front of the Docker socket, and the rules of the tests."""

import copy
import json
from typing import Any

from perennial_engine.body import check
from perennial_engine.rules import Rules, Volume

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
    return json.loads(check(json.dumps(body).encode(), RULES))


def subset(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(name in whole and subset(value, whole[name]) for name, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(subset, part, whole))
    return bool(part == whole)
