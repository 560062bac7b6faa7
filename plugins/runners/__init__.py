"""Where a heavy step runs: one small interface, one implementation
a place, chosen by the setting `runner`; no DAG changes.
"""

from collections.abc import Callable

from plugins.runners.lines import LONGEST_LINE
from plugins.runners.process.runner import ProcessRunner
from plugins.runners.step import Ended, EngineFault, Left, Owner, Resources, Runner, State, Step, WorkerLost
from tasks.errors import InvalidProject
from tasks.settings import settings

__all__ = [
    "LONGEST_LINE",
    "RUNNERS",
    "Ended",
    "EngineFault",
    "Left",
    "Owner",
    "ProcessRunner",
    "Resources",
    "Runner",
    "State",
    "Step",
    "WorkerLost",
    "not_installed",
    "runner",
]


def runner() -> Runner:
    """The runner that the settings name.

    Raises:
        InvalidProject: What it needs is not installed here.
    """
    return RUNNERS[settings().runner]()


def _docker() -> Runner:
    try:
        from plugins.runners.docker.runner import DockerRunner
    except ImportError as error:
        raise not_installed("docker", error) from error
    return DockerRunner()


def _kubernetes() -> Runner:
    try:
        from plugins.runners.kubernetes.runner import KubernetesRunner
    except ImportError as error:
        raise not_installed("kubernetes", error) from error
    return KubernetesRunner()


def not_installed(name: str, error: ImportError) -> InvalidProject:
    """What to say where Airflow's environment cannot run steps as the setting says."""
    return InvalidProject(
        f"PERENNIAL_RUNNER is {name!r}, but Airflow's environment lacks what that needs ({error}). "
        "Install containers/airflow/cluster.txt (or google.txt) into it."
    )


RUNNERS: dict[str, Callable[[], Runner]] = {
    "process": ProcessRunner,
    "docker": _docker,
    "kubernetes": _kubernetes,
}
