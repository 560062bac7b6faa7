"""The named volumes that a step in a container or a pod sees."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from plugins.runners.environment import ASKS_ARCHIVES, MODEL_CODE
from plugins.runners.step import Step
from tasks.errors import InvalidProject
from tasks.settings import Settings
from tasks.stores.files import at, is_local


@dataclass(frozen=True)
class Volume:
    """A named volume and where it is mounted."""

    name: str
    target: str
    read_only: bool


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
        if step.verb not in MODEL_CODE | ASKS_ARCHIVES.keys() or any(_holds(volume, url) for url in stores)
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
                "`volume:/path:ro`, comma-separated; a folder of the machine is not mounted."
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
