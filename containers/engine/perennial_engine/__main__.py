"""Run the proxy in this process: `python -m perennial_engine`.

On SIGTERM it ends at once: a caller whose log stream breaks attaches again.
"""

import asyncio
import logging
import signal
import sys

from aiohttp import web
from pydantic import ValidationError

from perennial_engine.app import server
from perennial_engine.settings import EngineSettings
from perennial_engine.upstream import Engine

GRACE_SECONDS = 1.0


async def serve(settings: EngineSettings) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engine = Engine(settings.engine_socket)
    runner = web.ServerRunner(server(settings.rules(), engine), shutdown_timeout=GRACE_SECONDS)
    try:
        await runner.setup()
        await web.TCPSite(runner, settings.engine_host, settings.engine_port).start()
        logging.getLogger("perennial_engine").info(
            "on port %d for %s", settings.engine_port, settings.rules()
        )
        await stop.wait()
    finally:
        await runner.cleanup()
        await engine.close()


def main() -> None:
    """Read the settings and serve."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = EngineSettings()  # type: ignore[call-arg]
    except ValidationError as error:
        faults = (
            f"PERENNIAL_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        sys.exit(f"The engine proxy's settings are wrong. {'; '.join(faults)}.")
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
