"""Starts TorchServe's workers by forks of one process that has imported PyTorch: spawner.py SOCKET LIFE.

A worker that starts by itself imports PyTorch for more than a second; that is most of what a new version, or
one whose worker was killed, waits for. TorchServe runs tools/worker as its Python, that runs worker.py, and
worker.py asks here for a worker with its own arguments, environment, folder and output. Where this process is
gone, worker.py starts one by itself.

A worker and its worker.py end together: each sees the other's end of their connection close. This process
ends with the server, which alone holds the other end of the pipe LIFE. It has one thread, or a fork would
copy locks that nobody opens again.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from select import select
from typing import Any

PRELOADED = "ts.model_service_worker"
"""What every worker imports: PyTorch, NumPy and TorchServe's own."""


def main(address: str, life: int) -> None:
    """Fork a worker for each that asks, until the server has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a worker ended: the kernel forgets it
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)  # who asks from now on waits for the import
    importlib.import_module(PRELOADED)
    gc.freeze()
    while life not in (ready := select([listening, life], [], [])[0]):
        if listening in ready:
            connection, _ = listening.accept()
            with connection, suppress(OSError, ValueError):
                _fork(connection, listening, life)


def _fork(connection: socket.socket, listening: socket.socket, life: int) -> None:
    asked, output = received(connection)
    if os.fork():
        for each in output:
            os.close(each)
        return
    try:
        listening.close()
        os.close(life)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _become(asked, output)
        threading.Thread(target=_end_with, args=[connection.fileno()], daemon=True).start()
        runpy.run_path(sys.argv[0], run_name="__main__")
    except Exception:  # noqa: BLE001 - no second spawner goes on from here, whatever happened
        traceback.print_exc()
    except SystemExit:  # so a worker ends that has said why
        sys.stdout.flush()
    os._exit(1)


def received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What a worker.py asks for: {"arguments", "environment", "folder"}, and its three standard files.

    Raises:
        OSError, ValueError: It has ended before it had said all.
    """
    connection.settimeout(5)
    text, files, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not text.endswith(b"\n") and (part := connection.recv(1 << 16)):
        text += part
    connection.settimeout(None)
    return json.loads(text), files


def _become(asked: dict[str, Any], output: list[int]) -> None:
    """Take over what the process that asks would have had, had it become the worker itself."""
    for target, file in enumerate(output):
        os.dup2(file, target)
        os.close(file)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = asked["arguments"]
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # else every worker would draw the same


def _end_with(connection: int) -> None:
    """End when the process that asked does: TorchServe kills that one."""
    with suppress(OSError):
        os.read(connection, 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
