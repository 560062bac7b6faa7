"""Run the gateway in this process: `python -m perennial_gateway`.

One process, because one writer makes the log's order; on SIGTERM it finishes the requests that it holds and
ends.
"""

import logging
import sys

import uvicorn
from pydantic import ValidationError

from perennial_gateway.app import Gateway
from perennial_gateway.settings import GatewaySettings

GRACE_SECONDS = 30


def main() -> None:
    """Read the settings and serve until a signal comes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = GatewaySettings()  # type: ignore[call-arg]
    except ValidationError as error:
        faults = (
            f"PERENNIAL_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        sys.exit(f"The gateway's settings are wrong. {'; '.join(faults)}.")
    uvicorn.run(
        Gateway(settings),
        host=settings.gateway_host,
        port=settings.gateway_port,
        http="httptools",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
