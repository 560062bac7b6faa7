"""Become one program: `python launch.py PROGRAM.json` (a file with `command`, `environment` and `folder`).

A file rather than supervisord's own settings, because it may hold secrets (the file is private), and values
with any character. The kernel ends the program when the supervisor dies, even by SIGKILL: nothing is left
behind that nobody watches. The mark of the platform's start, which comes from the guardian, is passed on.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
START_MARK = "PERENNIAL_PLATFORM_PROCESS_OF_START"


def die_with_parent(parent: int) -> None:
    """Ask the kernel to send this process SIGTERM when its
    parent ends; end at once where `parent` has already ended.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def main(file: Path) -> None:
    """Replace this process by the program."""
    die_with_parent(os.getppid())
    program = json.loads(file.read_text(encoding="utf-8"))
    mark = {name: value for name, value in os.environ.items() if name == START_MARK}
    os.chdir(program["folder"])
    os.execve(program["command"][0], program["command"], {**program["environment"], **mark})  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]))
