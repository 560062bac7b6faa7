"""`Platform`: start, watch and stop the whole platform from Python.

    with Platform(home) as platform:
        print(platform.addresses.gateway, platform.airflow_token())
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from embedded.settings import EmbeddedSettings

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Addresses:
    """The base URL of each service, without a slash at the end."""

    airflow: str
    mlflow: str
    gateway: str
    torchserve_inference: str
    torchserve_management: str


@dataclass(frozen=True)
class Credentials:
    """The login of Airflow's pages and REST API."""

    username: str
    password: str


def silent(_line: str) -> None:
    """Tell nothing."""


class Platform:
    """One platform on one state folder.

    Names of the services, as `processes`, `logs`, `kill` and `restart` use them: airflow-api-server, airflow-scheduler,
    airflow-dag-processor, airflow-triggerer, mlflow, torchserve, gateway.

    Args:
        home: The state folder; None for the one that the settings name.
        overrides: Settings that differ from the environment's (`EmbeddedSettings`).
    """

    def __init__(self, home: Path | None = None, **overrides: Any) -> None:
        self.settings = EmbeddedSettings(**({"home": home.absolute()} if home else {}), **overrides)
        self.home = self.settings.home

    def start(self, progress: Progress = silent) -> Addresses:
        """Start every service and wait until all answer. What happens is told to `progress`, a line at a time.

        Raises:
            AlreadyRunning: The platform runs on this state folder; the message has its addresses.
            NoRoom, PortTaken: The machine cannot hold it.
            PlatformError: A service did not come up; everything is stopped again. The message quotes its last log lines.
        """
        raise NotImplementedError

    def stop(self) -> list[str]:
        """Stop every service, and what is left of an earlier platform on this folder. Returns what was done, in sentences."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def addresses(self) -> Addresses:
        """Where the services of the last start answer."""
        raise NotImplementedError

    @property
    def credentials(self) -> Credentials:
        raise NotImplementedError

    def airflow_token(self) -> str:
        """A bearer token for Airflow's REST API, good for a day."""
        raise NotImplementedError

    def variables(self) -> dict[str, str]:
        """The environment variables that point `python -m tasks` and the `airflow` command to this platform."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """A whole environment for a child process: this process's own, cleaned, with `variables()`."""
        raise NotImplementedError

    def processes(self) -> dict[str, int]:
        """The process id of each service that runs."""
        raise NotImplementedError

    def kill(self, name: str, signal: int = 9) -> int:
        """Send a signal to a service's process, as an accident would. Returns its process id."""
        raise NotImplementedError

    def restart(self, name: str) -> None:
        """Stop a service in order and start it again; returns when it answers."""
        raise NotImplementedError

    def wait_until_healthy(self, timeout_seconds: float | None = None, progress: Progress = silent) -> None:
        """Wait until every service answers.

        Raises:
            PlatformError: One does not within the time; the message names it and quotes its last log lines.
        """
        raise NotImplementedError

    def running(self) -> bool:
        """Whether the platform runs on this folder, whoever started it."""
        raise NotImplementedError

    def logs(self, name: str) -> Path:
        """The file that a service's output goes to."""
        return self.home / "logs" / f"{name}.log"
