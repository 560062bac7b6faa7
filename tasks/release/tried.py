"""Let a version show what it has to while a rollback may go on, and hold the model's versions afterwards."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from tasks.contracts import Route
from tasks.errors import CheckFailed, PerennialError, ServingError
from tasks.release.in_environment import retire_unused
from tasks.release.on_trial import on_trial
from tasks.serving.backend import exclusive
from tasks.spec import PRODUCTION

T = TypeVar("T")


@contextmanager
def tried(
    route: Route,
    show: Callable[[], T],
    refuse: Callable[[PerennialError], None] = lambda _: None,
    environment: str = PRODUCTION,
) -> Iterator[T]:
    """What `show` gives, which loads the version beside what serves and may take minutes.

    Nobody holds the model's versions meanwhile, for a rollback would wait as long, and nobody unloads this
    one; the block holds them, and what serves may have changed by then. One that fails is unloaded again.

    Args:
        refuse: Called with what is wrong before it is unloaded, while the model's versions are held.

    Raises:
        CheckFailed, ServingError: As `show`.
    """
    with ExitStack() as held:
        try:
            with on_trial(route):
                shown = show()
                held.enter_context(exclusive(route.model))
        except (CheckFailed, ServingError) as error:
            with exclusive(route.model):
                refuse(error)
                retire_unused(route.model, environment)
            raise
        yield shown
