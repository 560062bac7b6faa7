"""What the tests of containers share."""

import pytest

from tests.containers.bases import bases
from tests.containers.fixtures import engine, images, step_image, store
from tests.containers.proxies import foreign, image, network, proxy, step

__all__ = ["bases", "engine", "foreign", "image", "images", "network", "proxy", "step", "step_image", "store"]


@pytest.fixture(autouse=True)
def nothing_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What MLflow's client leaves in the environment of a process that has used it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
