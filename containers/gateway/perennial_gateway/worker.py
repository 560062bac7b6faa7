"""One of several processes that answer on one port: uvicorn calls `worker` in each."""

import gc
import logging
import multiprocessing
import os
import resource
import signal
import threading

from starlette.types import ASGIApp

from perennial_gateway.app import application
from perennial_gateway.settings import GatewaySettings


def worker() -> ASGIApp:
    """The application of this process; it ends when the one that started it does, however that ends."""
    log_to_stderr()
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    app = application(GatewaySettings())
    collect_less()
    return app


def log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def open_many_files() -> None:
    """Let this process and its workers open as many files as they may: each connection is one, too."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def collect_less() -> None:
    """What is there now stays until the end, and a request leaves no cycles: looking for some after every
    700 objects took a tenth of the processor's time.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
