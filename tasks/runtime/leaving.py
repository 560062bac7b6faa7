"""Leave a process as soon as Python has nothing left to do in it.

Arrow takes its threads down when a process exits. Where one of them still lets go of a Python file that a
Parquet file was read through, it waits for an interpreter that is gone: the process never ends, or is aborted
(apache/arrow#50482), and a step whose result is written would fail or hold up what waits for it.
"""

import atexit
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Ending:
    """With which code the process ends; 1 is that of an exception which nobody caught."""

    code: int = 1

    def leave(self) -> None:
        """End the process; what was printed or logged is written."""
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(self.code)


def run_and_leave(main: Callable[[], object]) -> None:
    """Run a program's main function, and end the process with its code.

    Threads are waited for and whatever was registered for the end is done, as always; only what libraries
    would take down after Python is not.
    """
    ending = _Ending()
    atexit.register(ending.leave)  # the first that is registered is the last that is done
    try:
        main()
        ending.code = 0
    except SystemExit as error:
        ending.code = _code(error)
        raise


def _code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1
