"""Run the gateway: `python -m perennial_gateway`.

With one worker it is this process. With several, this one starts them on one socket and starts another where
one ends; connections that wait for one which ends are taken by the others. On SIGTERM a worker finishes the
requests that it holds.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
import uvicorn
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from perennial_gateway import database
from perennial_gateway.app import application
from perennial_gateway.connections import Connection
from perennial_gateway.metrics import FOLDER
from perennial_gateway.route_table import RouteTable
from perennial_gateway.settings import GatewaySettings, Unguarded, UnsafeFolder
from perennial_gateway.watched import watch_without_waiting
from perennial_gateway.worker import collect_less, log_to_stderr, open_many_files, worker

GRACE_SECONDS = 30
START_SECONDS = 60
"""A worker that answers its parent no more for so long is replaced; one that starts on a busy machine answers
only when everything is imported.
"""

Made = TypeVar("Made")


def main() -> None:
    """Read the settings and serve until a signal comes."""
    log_to_stderr()
    open_many_files()
    try:
        settings = GatewaySettings()
    except ValidationError as error:
        sys.exit(f"The gateway's settings are wrong. {'; '.join(map(_sentence, error.errors()))}.")
    if settings.gateway_workers > 1:
        _serve_by_workers(settings)
        return
    app = _with_database(lambda: application(settings))
    collect_less()
    _serve(settings, app)


def _serve_by_workers(settings: GatewaySettings) -> None:
    def make_tables() -> None:  # before workers do it all at once
        for each in [settings, *settings.beside]:
            each.make_spool()
            engine = database.connect(each.database)
            RouteTable(engine).load()
            engine.dispose()

    _with_database(make_tables)
    with tempfile.TemporaryDirectory(prefix="perennial-gateway-metrics-") as folder:
        os.environ[FOLDER] = folder  # before a worker imports prometheus_client
        watch_without_waiting()
        application = f"{worker.__module__}:{worker.__name__}"
        _serve(settings, application, factory=True, workers=settings.gateway_workers)


def _with_database(make: Callable[[], Made]) -> Made:
    try:
        return make()
    except (Unguarded, UnsafeFolder) as error:
        sys.exit(f"The gateway's settings are wrong. {error}.")
    except (sa.exc.SQLAlchemyError, ValueError) as error:
        sys.exit(f"The gateway's database cannot be used: {error}")


def _serve(settings: GatewaySettings, app: Any, **how: Any) -> None:
    uvicorn.run(
        app,
        host=settings.gateway_host,
        port=settings.gateway_port,
        http=Connection,
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
        **how,
    )


def _sentence(fault: ErrorDetails) -> str:
    """What is wrong, after the variable; a fault of several variables names them itself."""
    message, variable = fault["msg"].removeprefix("Value error, "), "_".join(map(str, fault["loc"]))
    return f"PERENNIAL_{variable.upper()}: {message}" if variable else message


if __name__ == "__main__":
    main()
