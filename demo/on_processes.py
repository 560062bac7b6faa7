"""The story on the embedded platform: processes of this machine, on a state folder of the demo's own."""

import os
import shutil
from contextlib import AbstractContextManager

from demo.failure import require
from demo.memory import PeakMemory
from demo.stage import MODELS_PAGE, Memory, Scene, Tell
from embedded.platform import Platform
from embedded.requirements import make_home
from tasks.settings import settings
from tasks.stores import database

MARK = "made-by-the-demo"


class OnProcesses:
    """A `Stage` that this process starts, and that ends with it."""

    def __init__(self) -> None:
        self._platform = Platform()

    def prepare(self) -> None:
        """Remove what the last demo left; refuse to touch a state folder that is not a demo's."""
        home = self._platform.home
        require(not self._platform.running(), f"A platform runs on {home} already: stop it with `make stop`.")
        if (home / MARK).exists():
            shutil.rmtree(home)
        used = home.exists() and any(home.iterdir())
        require(
            not used,
            f"{home} holds a platform's state that is not a demo's. Set PERENNIAL_HOME to another folder, or "
            "`make clean`.",
        )
        make_home(home)
        (home / MARK).touch()

    def start(self, tell: Tell) -> Scene:
        addresses = self._platform.start(tell)
        self._point_this_process_there()
        users = {"Airflow": self._platform.credentials, "MLflow": self._platform.mlflow_credentials}
        logins = {name: f"{user.username} / {user.password}" for name, user in users.items()}
        pages = {
            "Models": f"{addresses.airflow}/{MODELS_PAGE}",
            "Airflow": addresses.airflow,
            "MLflow": addresses.mlflow,
            "Gateway": addresses.gateway,
        }
        return Scene(addresses.airflow, addresses.gateway, pages, logins)

    def token(self) -> str:
        return self._platform.airflow_token()

    def memory(self) -> AbstractContextManager[Memory]:
        return PeakMemory(self._platform.guardian or os.getpid())

    def watch(self, tell: Tell) -> None:
        tell("Everything keeps serving. Ctrl-C stops it.")
        self._platform.watch(tell)

    def stop(self, tell: Tell) -> None:
        tell("Stopping everything.")
        self._platform.end()

    def _point_this_process_there(self) -> None:
        """The demo reads the ledger and lands files with the same settings as the steps."""
        os.environ.update(self._platform.variables())
        settings.cache_clear()
        database.engine.cache_clear()
