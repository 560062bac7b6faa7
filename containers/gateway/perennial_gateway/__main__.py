"""Run the gateway in this process: `python -m perennial_gateway`.

One process, because one writer makes the log's order; on SIGTERM it finishes the requests that it holds and
ends.
"""

import gc
import logging
import sys

import sqlalchemy as sa
import uvicorn
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from perennial_gateway.app import application
from perennial_gateway.settings import GatewaySettings, Unguarded

GRACE_SECONDS = 30


def main() -> None:
    """Read the settings and serve until a signal comes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = GatewaySettings()
    except ValidationError as error:
        sys.exit(f"The gateway's settings are wrong. {'; '.join(map(_sentence, error.errors()))}.")
    try:
        app = application(settings)
    except Unguarded as error:
        sys.exit(f"The gateway's settings are wrong. {error}.")
    except (sa.exc.SQLAlchemyError, ValueError) as error:
        sys.exit(f"The gateway's database cannot be used: {error}")
    # What is there now stays until the end, and a request leaves no cycles: looking for some after every 700
    # objects took a tenth of the processor's time.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    uvicorn.run(
        app,
        host=settings.gateway_host,
        port=settings.gateway_port,
        http="httptools",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _sentence(fault: ErrorDetails) -> str:
    """What is wrong, after the variable; a fault of several variables names them itself."""
    message, variable = fault["msg"].removeprefix("Value error, "), "_".join(map(str, fault["loc"]))
    return f"PERENNIAL_{variable.upper()}: {message}" if variable else message


if __name__ == "__main__":
    main()
