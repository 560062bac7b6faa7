"""What TorchServe takes for a worker: it has the spawner make one, and lives as long as that does.

It runs without the environment's packages (`-I -S`), so that it starts at once. Where the spawner does not
take it, it becomes the worker itself, which imports PyTorch first.
"""

import json
import os
import socket
import sys

SPAWNER, PYTHON = "PERENNIAL_WORKER_SPAWNER", "PERENNIAL_WORKER_PYTHON"
"""Set by start.py: the spawner's socket, and the Python of the environment."""


def main(arguments: list[str]) -> None:
    """Return when the worker has ended."""
    with socket.socket(socket.AF_UNIX) as spawner:
        try:
            _ask(spawner, arguments)
        except OSError:
            os.execv(os.environ[PYTHON], [os.environ[PYTHON], *arguments])  # noqa: S606
        spawner.recv(1)


def _ask(spawner: socket.socket, arguments: list[str]) -> None:
    spawner.connect(os.environ[SPAWNER])
    asked = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109 - pathlib takes as long as the rest
    text = json.dumps(asked).encode() + b"\n"
    sent = socket.send_fds(spawner, [text], [0, 1, 2])
    spawner.sendall(text[sent:])


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.exit(1)  # a worker ends only by a fault, or because it was ended
