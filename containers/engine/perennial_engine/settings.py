"""The proxy's settings, from the environment (`PERENNIAL_...`)."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from perennial_engine.rules import DIGEST, MIB, Rules, Volume

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class EngineSettings(BaseSettings):
    """Where the proxy listens, and what it lets through.

    Attributes:
        installation: The label by which our containers are known; another installation on the same engine has
            another.
        step_network: The Docker network that steps join.
        step_mounts: The named volumes that steps may mount, `volume:/path[:ro]`, comma-separated; none when
            empty.
        engine_images: The images that may run, by digest, comma-separated.
        engine_memory_mib, engine_cpus, engine_pids: The most that one container may be given.
        engine_containers: The most containers, running or not, that may exist at a time.
        engine_pull: Whether the images may be fetched from their registries.
        engine_socket: The engine's socket; the process must be in its group.
    """

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", extra="ignore")

    installation: Name
    step_network: Name
    step_mounts: str = ""
    engine_images: Annotated[frozenset[str], NoDecode]
    engine_memory_mib: Annotated[int, Field(gt=0)] = 65_536
    engine_cpus: Annotated[float, Field(gt=0)] = 64
    engine_pids: Annotated[int, Field(gt=0)] = 4096
    engine_containers: Annotated[int, Field(gt=0)] = 64
    engine_pull: bool = False
    engine_socket: Path = Path("/var/run/docker.sock")
    engine_host: str = "0.0.0.0"  # noqa: S104 - the service of a container; its network decides who reaches it
    engine_port: int = 2375

    @field_validator("step_network")
    @classmethod
    def _a_network_of_its_own(cls, network: str) -> str:
        if network in {"host", "bridge", "default", "none", "container"}:
            raise ValueError(f"{network!r} is not a network of its own; make one for the steps")
        return network

    @field_validator("engine_images", mode="before")
    @classmethod
    def _digests(cls, text: str) -> frozenset[str]:
        images = frozenset(filter(None, (image.strip() for image in text.split(","))))
        moving = sorted(image for image in images if not DIGEST.fullmatch(image))
        if moving or not images:
            raise ValueError(
                "images by digest are expected (sha256:... or name@sha256:...), not "
                f"{moving or 'none at all'}"
            )
        return images

    def rules(self) -> Rules:
        return Rules(
            installation=self.installation,
            images=self.engine_images,
            network=self.step_network,
            volumes=volumes(self.step_mounts),
            memory_bytes=self.engine_memory_mib * MIB,
            cpus=self.engine_cpus,
            pids=self.engine_pids,
            containers=self.engine_containers,
            pull=self.engine_pull,
        )

    @field_validator("step_mounts")
    @classmethod
    def _readable(cls, text: str) -> str:
        volumes(text)
        return text


def volumes(text: str) -> dict[str, Volume]:
    """The declared volumes by path.

    Raises:
        ValueError: One is not `volume:/path[:ro]`; a path instead of a name would be a folder of the host.
    """
    declared: dict[str, Volume] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, rest = part.partition(":")
        path, _, mode = rest.partition(":")
        if not re.fullmatch(NAME, name) or not path.startswith("/") or mode not in {"", "ro", "rw"}:
            raise ValueError(f"{part!r} is not volume:/path[:ro]; only named volumes can be declared")
        declared[path] = Volume(name, read_only=mode == "ro")
    return declared
