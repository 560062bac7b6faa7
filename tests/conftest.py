"""Fixtures that every family of tests shares."""

import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

import tests.airflow_home  # noqa: F401 - before anything imports Airflow
from tasks.settings import settings
from tasks.stores import database
from tests.running import Running

PROJECT = Path(__file__).resolve().parent.parent

# What no fixture gave a state folder of its own is kept from this clone's and from the one that the shell
# names, where somebody's platform may run: nothing can be written below a file.
os.environ["PERENNIAL_HOME"] = str(Path(__file__) / "this test names no PERENNIAL_HOME")

# Google's libraries read these when they are first imported, and would wait for minutes for a machine of
# Google's, and for what tells the kind of a bucket.
os.environ.update({"NO_GCE_CHECK": "true", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"})

# A worker imports the libraries of all families, millions of objects that stay, and would look through them
# again and again.
gc.set_threshold(100_000)

# How fast a machine is decides no test: an example that first imports a library takes seconds on a busy one.
hypothesis.settings.register_profile("perennial", deadline=None)
hypothesis.settings.load_profile("perennial")

ONE_SERVICE_EACH = ("tests/system/", "tests/services/", "tests/dags/", "tests/compose/")
LONGEST = ("compose", "system", "services", "containers", "dags", "model", "steps")
LAST = ("test_readme.py", "test_stop.py")
STARTS_ITS_OWN = re.compile(
    r"tests/(system/test_platform|services/test_(google|google_apis|object_stores))\.py"
)
# The longest family mostly waits for its services: its halves have one of each, and run beside each other.
OF_RELEASES = re.compile(
    r"tests/services/test_(ab|alias|deploy|environments|google_cloud|mlflow|reconcile|registry|release|roll"
    r"|with)"
)


class ByWhatIsStartedOnce(LoadScopeScheduling):
    """Shares the tests out so that what is started once stays once: a family, or half of the longest one,
    with its services, a file with its fixtures.

    pytest-xdist's own groups do nothing since pytest computes node ids.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if STARTS_ITS_OWN.match(file):
            return file
        if OF_RELEASES.match(file):
            return "releases"
        return next((family for family in ONE_SERVICE_EACH if file.startswith(family)), file)


def pytest_configure(config: pytest.Config) -> None:
    """Of a run in workers, the process that shares the tests out is the one that knows."""
    if not hasattr(config, "workerinput") and not sys.stdout.isatty():
        config.pluginmanager.register(Running())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByWhatIsStartedOnce:
    return ByWhatIsStartedOnce(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest families come first; in that of the platform, the README's commands come late, for they
    change it, and its end is last.
    """
    items.sort(
        key=lambda item: (
            LONGEST.index(family) if (family := _family_of(item.path)) in LONGEST else len(LONGEST),
            LAST.index(item.path.name) if item.path.name in LAST else -1,
        )
    )


def _family_of(file: Path) -> str:
    return file.relative_to(PROJECT).parts[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty state folder that the settings and the database of this process point to."""
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path))
    settings.cache_clear()
    database.engine.cache_clear()
    yield tmp_path
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path))  # a test may have looked elsewhere
    database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; copy it, because making one takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path
