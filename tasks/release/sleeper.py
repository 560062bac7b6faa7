"""What a version that sleeps while nobody asks for it says of itself: looking must not wake it."""

from collections.abc import Iterator

from tasks.contracts import LoadedVersion, Route
from tasks.errors import PerennialError
from tasks.serving.backend import serving_backend


def sleeper_of(route: Route) -> LoadedVersion | None:
    """What the backend says of a version that may sleep; None for any other, and where it cannot be asked,
    as from another machine.
    """
    if route.backend != "oip":
        return None
    try:
        loaded = serving_backend(route.backend).describe(route.model)
    except (PerennialError, OSError):  # its tokens may lie elsewhere
        return None
    return next((each for each in loaded if each.version == route.backend_version), None)


def wakes_late(route: Route, loaded: LoadedVersion) -> Iterator[str]:
    """What is wrong where the version took longer to wake than its callers wait."""
    took = loaded.cold_start_seconds
    if took is not None and took > route.timeout_seconds:
        yield (
            f"Version {route.model_version} of {route.model} sleeps while nobody asks for it "
            f"(serving.idle_seconds) and last took {took:.1f} s to wake, but its callers wait for "
            f"{route.timeout_seconds:g} s: the first one after each sleep gets a 504. Raise "
            f"serving.timeout_seconds in its pipeline.yaml, or remove idle_seconds; then perennial release "
            f"{route.model} {route.model_version}."
        )
