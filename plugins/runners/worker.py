"""The worker that supervises a task, for what must not outlive it."""

import os

from plugins.runners.step import WorkerLost


def require(parent: int) -> None:
    """Go on only while our parent is `parent`.

    Raises:
        WorkerLost: It is gone, and we were given to another.
    """
    if os.getppid() != parent:
        raise WorkerLost("The worker that supervises this task is gone; the task will be tried again.")
