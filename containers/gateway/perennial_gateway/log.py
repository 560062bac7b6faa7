"""The log of predictions and labels: a row is kept before the request that made it is answered.

It is appended to a spool file, which survives the end of this process, and one thread moves it into the
database (mover.py). So no answer waits for the database, and one that does not answer costs none.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from perennial_gateway.database import NUL, failures, feedback, predictions, shadows, takebacks
from perennial_gateway.mover import LETTERS, Mover
from perennial_gateway.web import Refused

TABLES = {table.name: table for table in (predictions, feedback, takebacks, failures, shadows)}
LETTER_OF = {table.name: letter for letter, table in LETTERS.items()}
JSON_COLUMNS = {"features", "prediction", "label", "live_prediction"}
SETTLE_SECONDS = 5.0

OTHERS_SECONDS = 1.0
"""How long what other processes have kept may take to the database until it counts as late."""

logger = logging.getLogger("perennial_gateway.log")


class DurableLog:
    """Appends rows durably and reads them by sequence.

    Args:
        folder: Where spools are; several processes of one database share it.
        most_bytes: How much may wait while the database does not answer.
        synced: Whether a row is on disk before its request is answered, so that it survives a power cut, too.
    """

    def __init__(self, engine: sa.Engine, folder: Path, *, most_bytes: int, synced: bool = False) -> None:
        self._engine = engine
        self._mover = Mover(engine, folder, most_bytes)
        self._disk = ThreadPoolExecutor(1, "log-sync") if synced else None
        self._syncing: asyncio.Task[None] | None = None
        self._one_sync = asyncio.Lock()
        self._waiting: list[asyncio.Future[None]] = []
        self._lines: list[bytes] = []

    def start(self) -> None:
        self._mover.start()

    def stop(self) -> None:
        """Move what was appended into the database, and end."""
        self._mover.stop()

    @property
    def alive(self) -> bool:
        return self._mover.alive

    @property
    def fault(self) -> str:
        """Why the database takes no rows now; empty where it does."""
        return self._mover.fault

    @property
    def behind_bytes(self) -> int:
        """How much the database has not taken yet."""
        return self._mover.behind_bytes

    async def append(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Return when the rows are kept; what comes in one turn of the event loop is written together.

        Raises:
            Refused: 503; the disk does not take them, or the database has not for too long. None of them is
                kept.
        """
        letter = LETTER_OF[table]
        self._lines += [b"%s%s\n" % (letter, orjson.dumps(row)) for row in rows]
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._write)
        self._waiting.append(written)
        try:
            await written
            if self._disk is not None:
                await self._synced(self._disk)
        except OSError as error:
            sentence = "The log of predictions cannot be written, so nothing is accepted. Try again."
            raise Refused(503, sentence, headers={"Retry-After": "5"}) from error

    def _write(self) -> None:
        lines, waiting = b"".join(self._lines), self._waiting
        self._lines, self._waiting = [], []
        fault: OSError | None = None
        try:
            self._mover.append(lines)
        except OSError as error:
            logger.exception("The log cannot be written")
            fault = error
        for written in waiting:
            if written.done():  # who waited has gone
                continue
            if fault is None:
                written.set_result(None)
            else:
                written.set_exception(fault)

    async def _synced(self, disk: ThreadPoolExecutor) -> None:
        """Wait for a sync that has not begun yet; all who come before it does share it."""
        if self._syncing is None:
            self._syncing = asyncio.create_task(self._sync_next(disk))
        await asyncio.shield(self._syncing)

    async def _sync_next(self, disk: ThreadPoolExecutor) -> None:
        """Sync once the sync before has ended.

        That this one begins is noted here and not in the thread: that did it before the loop had noted the
        sync at all, which then seemed never to begin, and nothing was synced any more.
        """
        async with self._one_sync:
            self._syncing = None
            await asyncio.get_running_loop().run_in_executor(disk, self._mover.sync)

    def settle(self) -> bool:
        """Wait until what this process has kept is in the database, or some seconds; whether it is. It
        blocks.
        """
        return self._mover.settle(SETTLE_SECONDS)

    async def require_settled(self) -> None:
        """Wait until what all processes that share the folder have kept, killed ones too, is in the database:
        what it lacks then was never kept on this machine.

        Raises:
            Refused: 503; it is not there after some seconds.
        """
        if not await asyncio.to_thread(lambda: self.settle() and self._mover.others_settle(OTHERS_SECONDS)):
            sentence = "Not every prediction has reached the log's database yet. Try again."
            raise Refused(503, sentence, headers={"Retry-After": "5"})

    def read(self, table: str, model: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Rows of a model with a sequence above `after`, in their order. It blocks: call it in a thread."""
        if NUL in model:
            return []
        self.settle()
        source = TABLES[table]
        wanted = source.select().where(source.c.model == model, source.c.sequence > after)
        with self._engine.connect() as connection:
            found = connection.execute(wanted.order_by(source.c.sequence).limit(limit)).mappings().all()
        return [plain(row) for row in found]

    def find(self, prediction_id: str) -> dict[str, Any] | None:
        """One prediction with its labels, oldest first; None where there is none. It blocks."""
        if NUL in prediction_id:
            return None
        self.settle()
        of_it = predictions.select().where(predictions.c.prediction_id == prediction_id)
        with self._engine.connect() as connection:
            row = connection.execute(of_it).mappings().first()
            if row is None:
                return None
            about = (feedback.c.model == row["model"]) & (feedback.c.prediction_id == prediction_id)
            labels = connection.execute(feedback.select().where(about).order_by(feedback.c.sequence))
            return {**plain(row), "labels": [plain(label) for label in labels.mappings()]}

    def count(self, model: str, run_id: str, after: int) -> dict[str, Any]:
        """How many predictions with a sequence above `after` a run made, and the times of the first and the
        last. It blocks.
        """
        if NUL in model or NUL in run_id:
            return {"rows": 0, "first_at": None, "last_at": None}
        self.settle()
        at, p = predictions.c.predicted_at, predictions.c
        counted = sa.select(
            sa.func.count().label("rows"), sa.func.min(at).label("first_at"), sa.func.max(at).label("last_at")
        )
        of_run = counted.where(p.model == model, p.run_id == run_id, p.sequence > after)
        with self._engine.connect() as connection:
            return dict(connection.execute(of_run).mappings().one())

    def versions(self, model: str, ids: Iterable[str]) -> dict[str, str]:
        """Which version made each prediction of the model; of other ids nothing. It blocks: call it in a
        thread.
        """
        self.settle()
        possible = {prediction_id for prediction_id in ids if NUL not in prediction_id}
        wanted = sa.select(predictions.c.prediction_id, predictions.c.model_version).where(
            predictions.c.model == model, predictions.c.prediction_id.in_(possible)
        )
        with self._engine.connect() as connection:
            return {row.prediction_id: row.model_version for row in connection.execute(wanted)}


def plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row as it is told: what was kept as JSON is read again."""
    return {
        str(name): orjson.loads(value) if name in JSON_COLUMNS and value is not None else value
        for name, value in row.items()
    }
