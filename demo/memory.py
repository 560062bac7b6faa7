"""The memory of a process and everything below it, sampled in the background."""

import threading
from types import TracebackType
from typing import Self

import psutil


class PeakMemory:
    """Samples the proportional set size (PSS) of a process
    tree each second for as long as the `with` block runs.

    PSS counts a page shared by n processes as 1/n in each, so that the sum over forked workers is what they
    truly occupy.

    Attributes:
        peak_mib: The largest sum so far, in MiB.
    """

    def __init__(self, pid: int, *, every_seconds: float = 1.0) -> None:
        self._root = psutil.Process(pid)
        self._every_seconds = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_on, daemon=True)
        self.peak_mib = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)

    def _sample_on(self) -> None:
        while not self._stop.wait(self._every_seconds):
            self.peak_mib = max(self.peak_mib, tree_pss_mib(self._root))


def tree_pss_mib(root: psutil.Process) -> float:
    """The sum of PSS over `root` and its descendants, in MiB; a process that
    has just ended counts nothing.
    """
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_pss(process) for process in processes) / 2**20


def _pss(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(memory, "pss", memory.rss))
