"""The log of predictions and labels: a row is on disk before the request that made it is answered.

One thread writes what has gathered while the last commit was on its way, up to `BATCH_ROWS` rows in one
transaction, so that the cost of a sync is shared by all who wait for it. One writer also means that rows
become visible in the order of their sequence: a reader that goes on after the last sequence it saw never
misses one.
"""

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from perennial_gateway.database import NUL, feedback, predictions, takebacks
from perennial_gateway.metrics import COMMIT_ROWS, COMMIT_SECONDS
from perennial_gateway.web import Refused

BATCH_ROWS = 500
TABLES = {"predictions": predictions, "feedback": feedback, "takebacks": takebacks}
JSON_COLUMNS = {"features", "prediction", "label"}

logger = logging.getLogger("perennial_gateway.log")


class Waiting(NamedTuple):
    """Rows of one request, and the future that is told when they are durable."""

    table: sa.Table
    rows: Sequence[dict[str, Any]]
    done: asyncio.Future[None]


class DurableLog:
    """Appends rows durably and reads them by sequence."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="log-writer", daemon=True)

    def start(self) -> None:
        self._writer.start()

    def stop(self) -> None:
        """Write what was appended and end."""
        self._queue.put(None)
        self._writer.join()

    @property
    def alive(self) -> bool:
        return self._writer.is_alive()

    async def append(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Return when the rows are on disk.

        Raises:
            Refused: 503; the database did not take them, and none of them is kept.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(Waiting(TABLES[table], rows, done))
        await done

    def read(self, table: str, model: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Rows of a model with a sequence above `after`, in their order. It blocks: call it in a thread."""
        if NUL in model:
            return []
        source = TABLES[table]
        wanted = source.select().where(source.c.model == model, source.c.sequence > after)
        with self._engine.connect() as connection:
            found = connection.execute(wanted.order_by(source.c.sequence).limit(limit)).mappings().all()
        return [_plain(row) for row in found]

    def find(self, prediction_id: str) -> dict[str, Any] | None:
        """One prediction with its labels, oldest first; None where there is none. It blocks."""
        if NUL in prediction_id:
            return None
        of_it = predictions.select().where(predictions.c.prediction_id == prediction_id)
        with self._engine.connect() as connection:
            row = connection.execute(of_it).mappings().first()
            if row is None:
                return None
            about = (feedback.c.model == row["model"]) & (feedback.c.prediction_id == prediction_id)
            labels = connection.execute(feedback.select().where(about).order_by(feedback.c.sequence))
            return {**_plain(row), "labels": [_plain(label) for label in labels.mappings()]}

    def count(self, model: str, run_id: str, after: int) -> dict[str, Any]:
        """How many predictions with a sequence above `after` a run made, and the times of the first and the
        last. It blocks.
        """
        if NUL in model or NUL in run_id:
            return {"rows": 0, "first_at": None, "last_at": None}
        at, p = predictions.c.predicted_at, predictions.c
        counted = sa.select(
            sa.func.count().label("rows"), sa.func.min(at).label("first_at"), sa.func.max(at).label("last_at")
        )
        of_run = counted.where(p.model == model, p.run_id == run_id, p.sequence > after)
        with self._engine.connect() as connection:
            return dict(connection.execute(of_run).mappings().one())

    def unknown(self, model: str, ids: Sequence[str]) -> list[str]:
        """Those of `ids` that are no predictions of the model. It blocks: call it in a thread."""
        possible = {prediction_id for prediction_id in ids if NUL not in prediction_id}
        wanted = sa.select(predictions.c.prediction_id).where(
            predictions.c.model == model, predictions.c.prediction_id.in_(possible)
        )
        with self._engine.connect() as connection:
            known = set(connection.scalars(wanted))
        return [prediction_id for prediction_id in dict.fromkeys(ids) if prediction_id not in known]

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ended = self._gather(first)
            self._commit(batch)
            if ended:
                return

    def _gather(self, first: Waiting) -> tuple[list[Waiting], bool]:
        """What waits now, and whether the end was asked for."""
        batch, rows = [first], len(first.rows)
        while rows < BATCH_ROWS:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return batch, True
            batch.append(more)
            rows += len(more.rows)
        return batch, False

    def _commit(self, batch: list[Waiting]) -> None:
        by_table: dict[sa.Table, list[dict[str, Any]]] = defaultdict(list)
        for waiting in batch:
            by_table[waiting.table].extend(waiting.rows)
        started = time.perf_counter()
        error: Exception | None = None
        try:
            with self._engine.begin() as connection:
                for table, rows in by_table.items():
                    connection.execute(table.insert(), rows)
        except (
            Exception
        ) as raised:  # the boundary of the thread: whoever waits is told, and the next batch is tried
            logger.exception("%d requests could not be logged", len(batch))
            error = raised
        COMMIT_SECONDS.observe(time.perf_counter() - started)
        COMMIT_ROWS.observe(sum(map(len, by_table.values())))
        for waiting in batch:
            waiting.done.get_loop().call_soon_threadsafe(_settle, waiting.done, error)


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): orjson.loads(value) if name in JSON_COLUMNS else value for name, value in row.items()}


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        sentence = "The log of predictions cannot be written, so nothing is accepted. Try again."
        done.set_exception(Refused(503, sentence, headers={"Retry-After": "5"}))
