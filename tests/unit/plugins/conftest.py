"""What the tests of the runner of pods share."""

from tests.unit.plugins.pods import cluster, step

__all__ = ["cluster", "step"]
