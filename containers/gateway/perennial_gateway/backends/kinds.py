"""The kinds of backends that this gateway reaches, and the batcher of each version that it serves."""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from perennial_gateway.backends.base import Kind, Server
from perennial_gateway.backends.batcher import Batcher
from perennial_gateway.backends.oip import Oip
from perennial_gateway.backends.replicas import Replicas
from perennial_gateway.backends.torchserve import TorchServe
from perennial_gateway.routes import Served
from perennial_gateway.settings import GatewaySettings
from perennial_gateway.web import Refused


def backends_of(settings: GatewaySettings) -> "Backends":
    """The backends that the settings name."""
    servers: dict[str, list[Server]] = {
        "torchserve": [TorchServe(url, file) for url, file in settings.torchserves],
        "oip": [Oip(url, settings.oip_key_file) for url in settings.oip_urls],
    }
    kinds = {name: Replicas(each) for name, each in servers.items() if each}
    return Backends(kinds, settings.gateway_workers)


class Backends:
    """Every backend by the name that a route has for its kind.

    Args:
        processes: How many of the gateway's share them.
    """

    def __init__(self, kinds: Mapping[str, Kind], processes: int = 1) -> None:
        self._kinds = kinds
        self._processes = processes
        self._batchers: WeakKeyDictionary[Served, Batcher] = WeakKeyDictionary()

    async def close(self) -> None:
        for backend in self._kinds.values():
            await backend.close()

    def of(self, served: Served) -> Batcher:
        """The batcher of a version in use; one that is served no longer takes its own with it.

        Raises:
            Refused: 503; this gateway was given no address of such a backend.
        """
        batcher = self._batchers.get(served)
        if batcher is None:
            backend = self._kinds.get(served.route.backend)
            if backend is None:
                raise Refused(503, f"This gateway knows no backend {served.route.backend!r}.")
            batcher = self._batchers[served] = Batcher(backend, served.route, served.metrics, self._processes)
        return batcher
