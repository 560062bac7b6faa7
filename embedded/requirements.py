"""Whether the machine has room for the platform, and the environments are there."""

import shutil
import sys
import tempfile
from pathlib import Path

import psutil

from embedded.errors import NoRoom, PlatformError
from embedded.settings import EmbeddedSettings
from tasks.settings import Settings
from tasks.variables import read

MIB = 2**20


def check(settings: EmbeddedSettings) -> None:
    """Check what can be known before anything is started.

    Raises:
        NoRoom: Too little disk or memory; the message has both figures.
        PlatformError: Not Linux, or an environment is missing.
        InvalidSettings: A setting of the steps, or of what Airflow runs, is wrong.
    """
    read(Settings)
    if sys.platform != "linux":
        raise PlatformError(
            f"The embedded platform needs Linux; this is {sys.platform}. Run it in a container there."
        )
    missing = [name for name in ("control", "ml", "serving", "gateway") if not settings.python(name).exists()]
    if missing:
        raise PlatformError(
            f"The environments {', '.join(missing)} are not in {settings.environments}. Run `make setup`."
        )
    _check_disk(settings.home, settings.minimum_disk_mib)
    _check_memory(settings.minimum_memory_mib)


def make_home(home: Path) -> None:
    """Make the state folder.

    Raises:
        PlatformError: It cannot be made, or no file can be written there; the message says why.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise PlatformError(
            f"The platform's state cannot be written to {home}: {error.strerror}. Set PERENNIAL_HOME, in the "
            "environment or in .env, to a folder in which you may make files."
        ) from error


def _check_disk(home: Path, needed_mib: int) -> None:
    free_mib = shutil.disk_usage(home).free // MIB
    if free_mib < needed_mib:
        raise NoRoom(
            f"{home} has {free_mib} MiB of free disk; the platform needs {needed_mib} MiB. Free some, or "
            "set PERENNIAL_HOME to a folder on a larger disk (PERENNIAL_MINIMUM_DISK_MIB lowers the limit).",
            free_mib=free_mib,
            needed_mib=needed_mib,
        )


def _check_memory(needed_mib: int) -> None:
    free_mib = min(psutil.virtual_memory().available, _container_limit()) // MIB
    if free_mib < needed_mib:
        raise NoRoom(
            f"This machine has {free_mib} MiB of available memory; the platform needs {needed_mib} MiB. End "
            "other programs, or set PERENNIAL_AIRFLOW_PARALLELISM=2 and PERENNIAL_MINIMUM_MEMORY_MIB lower "
            "to try with less.",
            free_mib=free_mib,
            needed_mib=needed_mib,
        )


def _container_limit() -> int:
    """What a container's memory limit (cgroup v2) leaves, in bytes; unlimited where there is none."""
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (
            (group / "memory.max").read_text(encoding="ascii"),
            (group / "memory.current").read_text(encoding="ascii"),
        )
        return int(limit) - int(used)
    except (OSError, ValueError):
        return sys.maxsize
