"""Which platforms of this clone there are, and which of them runs."""

import sys
from collections.abc import Iterator

from embedded import clone
from embedded.errors import OtherClone, PlatformError
from embedded.platform import Platform
from embedded.settings import EmbeddedSettings
from tasks.settings import PROJECT
from tasks.variables import read_what_is_right


def platforms() -> Iterator[Platform]:
    """That on the state folder which the settings name, and the others of this clone, such as the demo's.

    Whoever wants to see or stop what runs can do so whatever is wrong with the settings of the next start.
    """
    settings, fault = read_what_is_right(EmbeddedSettings)
    if fault:
        _warn(str(fault))
    beside = [lock.parent.parent for lock in PROJECT.glob(".perennial/*/supervisor/guardian.lock")]
    for home in dict.fromkeys([settings.home.absolute(), *beside]):
        platform = Platform(settings=settings.model_copy(update={"home": home}))
        try:
            platform.running()
        except OSError as error:
            _warn(f"Whether a platform runs on {home} cannot be seen: {error.strerror}.")
        else:
            yield platform


def running() -> Platform:
    """The platform that runs, first of all on the state folder that the settings name.

    Raises:
        PlatformError: None of this clone runs.
    """
    told = PlatformError("The platform does not run. `make demo` or `make start` starts it.")
    for platform in platforms():
        if platform.running():
            try:
                clone.require_own(platform.home)
            except OtherClone as error:
                told = error
            else:
                return platform
    raise told


def _warn(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
