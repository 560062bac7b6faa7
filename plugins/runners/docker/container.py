"""A step as a container: plain data, made by a pure
function, so that its limits can be tested without an engine.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugins.runners.environment import SCRATCH, command_of, environment_of
from plugins.runners.image import TMP_MIB, digest_of
from plugins.runners.labels import labels_of
from plugins.runners.step import Resources, Step
from plugins.runners.volumes import Volume, volumes_for
from tasks.settings import Settings

MIB = 1024 * 1024
USER = "10001:0"
PIDS = 4096
# All GPUs of the machine.
GPUS = {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
LOG_SIZE, LOG_FILES = "50m", "2"
LOG = {"Type": "json-file", "Config": {"max-size": LOG_SIZE, "max-file": LOG_FILES}}


@dataclass(frozen=True)
class ContainerSpec:
    """Everything that the engine is told of a step's container.

    Attributes:
        image: By digest.
        memory_bytes: The kernel's limit; files in the scratch folder, which is a tmpfs, count too. There is
            no swap beside it.
        shared_bytes: Of /dev/shm, through which torch's data loaders pass batches; counts too.
        device_requests: The GPUs that are visible, as the engine's interface writes them.
    """

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    network: str
    volumes: tuple[Volume, ...]
    cpus: float
    memory_bytes: int
    scratch_bytes: int
    shared_bytes: int
    device_requests: tuple[Mapping[str, Any], ...]

    def body(self) -> dict[str, Any]:
        """The body of the engine's `POST /containers/create`.

        The filtering proxy lets exactly these fields pass.
        """
        return {
            "Image": self.image,
            "Cmd": list(self.command),
            "Env": [f"{name}={value}" for name, value in sorted(self.environment.items())],
            "User": USER,
            "Labels": dict(self.labels),
            "HostConfig": {
                "NetworkMode": self.network,
                "Memory": self.memory_bytes,
                "MemorySwap": self.memory_bytes,
                "NanoCpus": round(self.cpus * 1e9),
                "PidsLimit": PIDS,
                "ShmSize": self.shared_bytes,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": True,
                "Init": True,
                "Tmpfs": {
                    SCRATCH: f"rw,exec,nosuid,nodev,size={self.scratch_bytes},uid=10001,gid=0,mode=0700",
                    "/tmp": f"rw,nosuid,nodev,size={TMP_MIB * MIB},mode=1777",  # noqa: S108 - in the container
                },
                "Mounts": [
                    {
                        "Type": "volume",
                        "Source": volume.name,
                        "Target": volume.target,
                        "ReadOnly": volume.read_only,
                    }
                    for volume in self.volumes
                ],
                "DeviceRequests": [dict(request) for request in self.device_requests],
                "LogConfig": LOG,
            },
        }


def container_of(
    step: Step, place: Settings, *, gpus: bool, gpu_missing: str = "", ours: Mapping[str, str] = os.environ
) -> ContainerSpec:
    """The container of a step.

    Args:
        place: Image, network, volumes, and where the store and the services are.
        gpus: Whether it gets the machine's GPUs.
        gpu_missing: Why it does not, although it asked for one.
        ours: The environment of this process.

    Raises:
        InvalidProject: A setting is wrong, or the store is a folder that the container would not see.
    """
    wanted, volumes, image = step.resources, volumes_for(step, place), digest_of(place)
    return ContainerSpec(
        name=step.name,
        image=image,
        command=command_of(step.verb, step.request_url, step.result_url, step.model),
        environment=environment_of(step, place, ours, image, gpu_missing),
        labels=labels_of(step, place),
        network=place.step_network or "bridge",
        volumes=volumes,
        cpus=wanted.cpus,
        memory_bytes=memory_bytes_of(wanted),
        scratch_bytes=wanted.scratch_mib * MIB,
        shared_bytes=shared_bytes_of(wanted),
        device_requests=(GPUS,) if gpus else (),
    )


def memory_bytes_of(wanted: Resources) -> int:
    """The kernel's limit: the program's memory, and its files, which lie in memory too."""
    return (wanted.memory_mib + wanted.scratch_mib + TMP_MIB) * MIB


def shared_bytes_of(wanted: Resources) -> int:
    return wanted.memory_mib * MIB // 2
