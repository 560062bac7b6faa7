"""A step as a container: plain data, made by a pure
function, so that its limits can be tested without an engine.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from plugins.runners.environment import MODEL_CODE, SCRATCH, command_of, environment_of, labels_of
from plugins.runners.step import Step
from tasks.errors import InvalidProject
from tasks.settings import Settings
from tasks.store import at, is_local

MIB = 1024 * 1024
USER = "10001:0"
TMP_MIB = 64  # for what ignores TMPDIR
PIDS = 4096
DIGEST = re.compile(r"(?:(?P<name>[^@\s]+)@)?(?P<digest>sha256:[0-9a-f]{64})")
GPUS = {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
LOG = {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "2"}}


@dataclass(frozen=True)
class Volume:
    """A named volume and where it is mounted."""

    name: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class ContainerSpec:
    """Everything that the engine is told of a step's container.

    Attributes:
        image: By digest.
        memory_bytes: The kernel's limit; files in the scratch folder, which is a tmpfs, count too. There is
            no swap beside it.
        shared_bytes: Of /dev/shm, through which torch's data loaders pass batches; counts too.
        gpus: Whether every GPU of the machine is visible.
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
    gpus: bool

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
                "DeviceRequests": [GPUS] if self.gpus else [],
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
        gpu_missing: Why it does not, although it wished for one.
        ours: The environment of this process.

    Raises:
        InvalidProject: A setting is wrong, or the store is a folder that the container would not see.
    """
    wanted, volumes, image = step.resources, volumes_for(step, place), digest_of(place)
    return ContainerSpec(
        name=step.name,
        image=image,
        command=command_of(step),
        environment=environment_of(step, place, ours, image, gpu_missing),
        labels=labels_of(step, place),
        network=place.step_network or "bridge",
        volumes=volumes,
        cpus=wanted.cpus,
        memory_bytes=(wanted.memory_mib + wanted.scratch_mib + TMP_MIB) * MIB,
        scratch_bytes=wanted.scratch_mib * MIB,
        shared_bytes=wanted.memory_mib * MIB // 2,
        gpus=gpus,
    )


def digest_of(place: Settings) -> str:
    """The image of the steps.

    Raises:
        InvalidProject: None is set, or one that may be another image tomorrow.
    """
    image = place.step_image
    if not DIGEST.fullmatch(image):
        raise InvalidProject(
            f"PERENNIAL_STEP_IMAGE is {image!r}, which does not say for good which image that is. Set it to "
            "a digest: `sha256:...` of an image on the engine (`make images` writes it to "
            ".perennial/images.env), or `name@sha256:...`."
        )
    return image


def volumes_for(step: Step, place: Settings) -> tuple[Volume, ...]:
    """The volumes that a step sees: all of them, or, where
    it runs model code, those alone that the store lies on.

    TorchServe's folder is one of the others: model code that could write there would put what it likes into
    service.

    Raises:
        InvalidProject: The volumes are wrongly declared, or the store is a folder that the step would not
            see.
    """
    declared = volumes_of(place)
    stores = (place.lake, place.runs, place.landing, step.request_url, step.result_url)
    volumes = tuple(
        volume
        for volume in declared
        if step.verb not in MODEL_CODE or any(_holds(volume, url) for url in stores)
    )
    for url in (step.request_url, step.result_url):
        _require_reachable(url, volumes)
    return volumes


def volumes_of(place: Settings) -> tuple[Volume, ...]:
    """The volumes of `PERENNIAL_STEP_MOUNTS`.

    Raises:
        InvalidProject: One is not `volume:/path` or `volume:/path:ro`; a folder of the machine is none.
    """
    volumes = []
    for text in filter(None, (part.strip() for part in place.step_mounts.split(","))):
        found = re.fullmatch(r"([A-Za-z0-9][\w.-]+):(/[^:]*)(:ro)?", text)
        if not found:
            raise InvalidProject(
                f"PERENNIAL_STEP_MOUNTS has {text!r}. Give named volumes as `volume:/path` or "
                "`volume:/path:ro`, parted by commas; a folder of the machine is not mounted."
            )
        volumes.append(Volume(found[1], found[2], read_only=bool(found[3])))
    return tuple(volumes)


def _require_reachable(url: str, volumes: tuple[Volume, ...]) -> None:
    """Refuse a store that a step which sees only these volumes would not find.

    Raises:
        InvalidProject: It is a folder of this machine.
    """
    if not is_local(at(url)) or any(_holds(volume, url) for volume in volumes if not volume.read_only):
        return
    raise InvalidProject(
        f"A step in a container would not find {url}, a folder of this machine. Set PERENNIAL_STORE_URL to "
        "an object store (s3://..., gs://...), or to a folder of a volume that both the workers and, by "
        "PERENNIAL_STEP_MOUNTS, the steps mount."
    )


def _holds(volume: Volume, url: str) -> bool:
    place = at(url)
    return is_local(place) and PurePosixPath(place.path).is_relative_to(volume.target)
