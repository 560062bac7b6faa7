"""What the tests of containers share."""

from tests.containers.bases import bases
from tests.containers.fixtures import engine, images, step_image, store
from tests.containers.proxies import foreign, image, network, proxy, step

__all__ = ["bases", "engine", "foreign", "image", "images", "network", "proxy", "step", "step_image", "store"]
