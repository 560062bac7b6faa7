"""Keep what this process knows from the programs that it starts."""

import ctypes
import sys

PR_SET_DUMPABLE = 4


def hide_environment() -> None:
    """Let no program of the same user read this process's environment or memory, as a child could in /proc.

    It holds until this process ends, and for nothing that it starts. Root may read all the same, where it
    has the capability for that, which no container of ours has. On other systems than Linux it does nothing:
    there is no /proc.

    Source: prctl(2), PR_SET_DUMPABLE; proc(5), "Overview".
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
