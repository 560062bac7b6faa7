"""Run the server in this process: `python -m perennial_inference`."""

import gc
import logging
import os
import sys

import uvicorn

from perennial_inference.app import Application
from perennial_inference.settings import InferenceSettings
from perennial_inference.tokens import Tokens

GRACE_SECONDS = 20


def main() -> None:
    """Read the settings and serve until a signal comes. What it writes is readable by its own user alone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    settings = InferenceSettings.read()
    try:
        tokens = Tokens(settings.key_file)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(
            f"The tokens cannot be read from {settings.key_file}: {error!r}. Remove the file for new ones."
        )
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    uvicorn.run(
        Application(settings, tokens),
        host=settings.host,
        port=settings.port,
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


if __name__ == "__main__":
    main()
