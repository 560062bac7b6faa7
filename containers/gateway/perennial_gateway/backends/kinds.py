"""The kinds of backends that this gateway reaches, and the batcher of each version that it serves."""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from perennial_gateway.backends.base import Backend
from perennial_gateway.backends.batcher import Batcher
from perennial_gateway.routes import Served
from perennial_gateway.web import Refused


class Backends:
    """Every backend by the name that a route has for its kind."""

    def __init__(self, kinds: Mapping[str, Backend]) -> None:
        self._kinds = kinds
        self._batchers: WeakKeyDictionary[Served, Batcher] = WeakKeyDictionary()

    async def open(self) -> None:
        for backend in self._kinds.values():
            await backend.open()

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
            batcher = self._batchers[served] = Batcher(backend, served.route, served.metrics)
        return batcher
