"""What the tests of containers share, and an Airflow folder of their own."""

import os
import tempfile

from tests.containers.fixtures import engine, images, step_image, store
from tests.containers.proxies import foreign, image, network, proxy, step

__all__ = ["engine", "foreign", "image", "images", "network", "proxy", "step", "step_image", "store"]

# Airflow makes its folder where it is first imported; the tests of the DAGs, where they run too, set their
# own after this.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="perennial-airflow-"))
