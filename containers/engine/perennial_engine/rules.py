"""What may be asked of this installation's engine, and how a request is refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

INSTALLATION_LABEL = "perennial.installation"
STEP_LABEL = "perennial.step"
MIB = 1 << 20

DIGEST = re.compile(r"(?:[a-z0-9][a-z0-9._:/-]{0,200}@)?sha256:[0-9a-f]{64}")
"""An image that cannot become another one: its id on the engine, or `name@sha256:...` of a registry."""


class Refused(Exception):
    """A request that does not reach the engine; its text is a sentence for who asked."""

    status = 403


class NoRoom(Refused):
    """A container that may be created later, when others are gone."""

    status = 503


@dataclass(frozen=True)
class Volume:
    """A named volume that steps may mount, at one path."""

    name: str
    read_only: bool


@dataclass(frozen=True)
class Rules:
    """What a step's container may be.

    Attributes:
        installation: The value of the label by which our containers are known; other containers do not exist
            for our callers.
        images: The images that may run, by digest.
        network: The network that a container joins.
        volumes: The declared volumes by the path they are mounted at.
        memory_bytes, cpus, pids: The most that one container may be given.
        containers: The most containers, running or not, that may exist at a time.
        pull: Whether these images may be fetched from their registries.
    """

    installation: str
    images: frozenset[str]
    network: str
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    memory_bytes: int = 64 * 1024 * MIB
    cpus: float = 64
    pids: int = 4096
    containers: int = 64
    pull: bool = False
