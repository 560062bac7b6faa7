"""The loaded versions: which there are, how one comes and goes, and which are there again after a restart."""

import asyncio
import shutil
from collections import defaultdict
from dataclasses import replace
from typing import Any

from perennial_inference import archives
from perennial_inference.archives import Order
from perennial_inference.faults import Refused
from perennial_inference.settings import InferenceSettings
from perennial_inference.version import Version

TICK_SECONDS = 0.1


class Repository:
    """Every version, by model and version.

    Attributes:
        restored: Whether all versions that a restart brings back are ready, or have failed to start.
    """

    def __init__(self, settings: InferenceSettings) -> None:
        self.restored = False
        self._settings = settings
        self._versions: dict[tuple[str, str], Version] = {}
        self._changing: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to load what the records say; called once, in the running event loop."""
        self._settings.store.mkdir(parents=True, exist_ok=True)
        archives.empty(self._settings.scratch)
        self._tasks = [asyncio.create_task(self._restore()), asyncio.create_task(self._tick())]

    async def close(self) -> None:
        """Let every version answer what it has, and end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(version.close() for version in self._versions.values()))

    def find(self, model: str, version: str | None = None) -> Version:
        """A version; where none is named, the one that was loaded last.

        Raises:
            Refused: 404; it is not loaded.
        """
        if version is not None:
            found = self._versions.get((model, version))
        else:
            found = next((self._versions[key] for key in reversed(self._versions) if key[0] == model), None)
        if found is None:
            raise Refused(404, f"{model} {version or ''} is not loaded.".replace("  ", " "))
        return found

    def listed(self) -> list[Version]:
        return list(self._versions.values())

    def versions_of(self, model: str) -> list[str]:
        return [version for name, version in self._versions if name == model]

    async def load(self, order: Order) -> None:
        """Have a version loaded as the order says; one that is there is only scaled. Ready when this returns.

        Raises:
            Refused: The archive is missing, another one or none, or its handler does not start: it was
                removed again.
        """
        async with self._changing[order.key]:
            current = self._versions.get(order.key)
            if current is not None and current.order.sha256 == order.sha256 and not current.broken:
                await current.change(order, self._settings.start_seconds)
                return
            await self._remove(order.key)
            version = await self._add(order)
            try:
                await version.change(order, self._settings.start_seconds)
            except Refused:
                await self._remove(order.key)
                raise

    async def scale(self, model: str, version: str, changes: dict[str, Any]) -> None:
        """Change the workers or the limits of a loaded version; ready when this returns.

        Raises:
            Refused: 404; it is not loaded. 400; its workers do not start, or the change is none.
        """
        async with self._changing[model, version]:
            found = self.find(model, version)
            order = Order.read({"model": model, **found.order.parameters(), **changes})
            await found.change(replace(order, sha256=found.order.sha256), self._settings.start_seconds)

    async def unload(self, model: str, version: str | None) -> list[str]:
        """Remove a version, or all of the model, after their last requests are answered; which they were."""
        keys = [key for key in self._versions if key[0] == model and version in {None, key[1]}]
        for key in keys:
            async with self._changing[key]:
                await self._remove(key)
        return [key[1] for key in keys]

    async def _add(self, order: Order) -> Version:
        folder = await asyncio.to_thread(archives.unpack, order, self._settings.store, self._settings.scratch)
        version = self._versions[order.key] = Version(order, folder, self._settings)
        return version

    async def _remove(self, key: tuple[str, str]) -> None:
        version = self._versions.get(key)
        if version is not None:
            await version.close()
            del self._versions[key]
            await asyncio.to_thread(shutil.rmtree, version.folder, ignore_errors=True)

    async def _restore(self) -> None:
        orders = await asyncio.to_thread(lambda: list(archives.records(self._settings.store)))
        await asyncio.gather(*(self._bring_back(order) for order in orders))
        self.restored = True

    async def _bring_back(self, order: Order) -> None:
        """One version of before; where its workers do not start, that is tried again ever more seldom."""
        async with self._changing[order.key]:
            try:
                await (await self._add(order)).change(order, self._settings.start_seconds)
            except Refused as error:
                print(f"{order.model} {order.version} is not back: {error}", flush=True)

    async def _tick(self) -> None:
        while True:
            for version in self._versions.values():
                version.tick()
            await asyncio.sleep(TICK_SECONDS)
