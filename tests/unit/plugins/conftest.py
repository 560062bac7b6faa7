"""What the tests of the plugins share."""

from tests.unit.new_model.conftest import project
from tests.unit.plugins.pods import cluster, step

__all__ = ["cluster", "project", "step"]
