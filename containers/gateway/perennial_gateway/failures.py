"""Requests that a version did not answer, counted by second: a version that fails may do so very often."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from perennial_gateway.database import now
from perennial_gateway.routes import Route
from perennial_gateway.web import Refused

FLUSH_SECONDS = 1.0
SHADOW = "shadow"
"""The role of copies that were not sent."""

logger = logging.getLogger("perennial_gateway")

Key = tuple[str, str, str, str | None, int]
"""Model, version, run, role, status."""


class Log(Protocol):
    """Where the counts are kept; see `DurableLog.append`."""

    async def append(self, table: str, rows: Sequence[dict[str, Any]]) -> None: ...


class Failures:
    """Counts in memory and appends the counts to the log every second; a kill costs those of its last second.

    No request waits for it.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._rows: dict[Key, dict[str, Any]] = {}
        self._flushing: asyncio.Task[None] | None = None

    def count(self, route: Route, role: str | None, status: int, reason: str, requests: int = 1) -> None:
        """Count requests that the version did not answer.

        Args:
            status: What the caller was told; 0 where there was no caller.
            reason: Of a second's requests with one status, that of the first is kept.
        """
        key = (route.model, route.model_version, route.run_id, role, status)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = {
                "model": route.model,
                "failed_at": now(),
                "model_version": route.model_version,
                "run_id": route.run_id,
                "role": role,
                "status": status,
                "requests": 0,
                "reason": reason[:200].replace("\0", ""),
            }
        row["requests"] += requests
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush_later())

    async def flush(self) -> None:
        """Keep what was counted."""
        rows, self._rows = list(self._rows.values()), {}
        if not rows:
            return
        try:
            await self._log.append("failures", rows)
        except Refused:
            logger.warning("%d counts of failures could not be kept", len(rows))

    async def _flush_later(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self._flushing = None
        await self.flush()
