"""Several processes, on one machine or several, with one table of routes.

Each process has a row that says up to which change it has come. Who changes a route answers only when every
living process has taken the change over, so that none sends a request to the version before any more.

A process looks for changes every `LOOK_SECONDS` while there are others, by one question that the database
answers from the ends of two indices. A listener (PostgreSQL's NOTIFY) would need a connection that no pooler
may share, and SQLite has none.
"""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from perennial_gateway.connections import SHARE
from perennial_gateway.database import peers
from perennial_gateway.liveness import Living
from perennial_gateway.metrics import forget_process
from perennial_gateway.route_table import RouteTable, newest_of
from perennial_gateway.web import Refused

LOOK_SECONDS = 0.02
BEAT_SECONDS = 0.5
SPREAD_SECONDS = 1.0
"""How long a change waits for a process that does not take it over."""

AGAIN_SECONDS = 0.01

logger = logging.getLogger("perennial_gateway.peers")


def home() -> str:
    """This machine's start and this container: processes with the same see each other's pids."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    if not boot.exists():
        return os.uname().nodename[:80]
    return f"{boot.read_text(encoding='ascii').strip()}:{space.stat().st_ino}"


class Peers:
    """This process among the others: a thread that follows the table, and what others are asked for.

    Args:
        on_beat: Called in the thread at every heartbeat.
    """

    def __init__(self, engine: sa.Engine, table: RouteTable, on_beat: Callable[[], None]) -> None:
        self._engine = engine
        self._table = table
        self._on_beat = on_beat
        self._name = uuid4().hex
        self._home = home()
        self._beats = 0
        self._beat_at = 0.0
        self._told: tuple[Any, ...] = ()
        self._living = Living(self._name, self._home)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns: list[Future[None]] = []
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)

    async def start(self) -> None:
        """Be one of them; returns when this process has the newest routes, and others wait for it."""
        self._loop = asyncio.get_running_loop()
        self._table.spread = self.spread
        await asyncio.to_thread(self._publish)  # before the table is read: who changes it from now on waits
        await asyncio.to_thread(self._table.load)
        self._thread.start()
        await self._turn()

    async def stop(self) -> None:
        """Be none of them any more; every request has been answered."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)
        with suppress(sa.exc.SQLAlchemyError):
            await asyncio.to_thread(self._leave)

    async def spread(self) -> None:
        """Return when this process and every other one has taken over what is committed.

        One that has not within `SPREAD_SECONDS` is named in the log; it follows as soon as it can.
        """
        await self._turn()
        behind = await self._behind()
        if behind:
            logger.warning("These processes have not taken a change of routes over: %s", ", ".join(behind))

    async def in_flight(self, model: str) -> dict[str, int]:
        """Requests for a model that any process works on, by backend version.

        Raises:
            Refused: 503; a process has not taken over the newest change, so that it may get more.
        """
        behind = await self._behind()
        if behind:
            message = "A process of the gateway has not taken over the newest route yet. Try again."
            raise Refused(503, message, headers={"Retry-After": "1"})
        found: dict[str, int] = {}
        others = await asyncio.to_thread(self._others)
        of_others = [entry for row in others for entry in json.loads(row.in_flight)]
        own = [(of, version, count) for (of, version), count in self._table.in_flight.items()]
        for of, version, count in (*of_others, *own):
            if of == model and count:
                found[version] = found.get(version, 0) + count
        return found

    @property
    def alone(self) -> bool:
        """Whether no other process was there at the last heartbeat."""
        return self._living.alone

    async def _behind(self) -> list[str]:
        """The living processes that have not come as far as this one, after some time for them."""
        wanted, until = self._table.records.newest, time.monotonic() + SPREAD_SECONDS
        while True:
            others = await asyncio.to_thread(self._others)
            behind = [row for row in others if row.routes < wanted[0] or row.splits < wanted[1]]
            if not behind or time.monotonic() > until:
                return [f"{row.pid} of {row.home}" for row in behind]
            await asyncio.sleep(AGAIN_SECONDS)

    async def _turn(self) -> None:
        """Return when the thread has looked once more."""
        turn: Future[None] = Future()
        self._turns.append(turn)
        self._wake.set()
        await asyncio.wrap_future(turn)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            turns, self._turns = self._turns, []
            try:
                self._look()
            except Exception as error:
                _finish(turns, error)
                logger.exception("The routes cannot be followed")
                self._wake.wait(BEAT_SECONDS)
            else:
                _finish(turns, None)
                self._wake.wait(BEAT_SECONDS if self._living.alone else LOOK_SECONDS)

    def _look(self) -> None:
        with self._engine.connect() as connection:
            newest = newest_of(connection)
        if newest != self._table.records.newest:
            self._take_over()
        due = time.monotonic() >= self._beat_at
        if due or self._state() != self._told:
            self._publish()
        if due:
            self._beat()

    def _take_over(self) -> None:
        read = self._table.read()
        done: Future[None] = Future()

        def use() -> None:
            self._table.use(*read)
            done.set_result(None)

        if self._loop is not None:
            self._loop.call_soon_threadsafe(use)
            done.result(BEAT_SECONDS * 10)

    def _beat(self) -> None:
        self._beat_at = time.monotonic() + BEAT_SECONDS
        for row in self._living.gone(self._rows()):
            with self._engine.begin() as connection:
                connection.execute(peers.delete().where(peers.c.name == row.name, peers.c.beats == row.beats))
            if row.home == self._home:
                forget_process(row.pid)
        of_port = [row for row in self._others() if (row.home, row.parent) == (self._home, os.getppid())]
        SHARE.compare([row.connections for row in of_port])
        self._on_beat()

    def _state(self) -> tuple[Any, ...]:
        """What others have to know at once: how far this process is, and what it still does for versions that
        get no more requests.
        """
        in_use = self._table.in_use()
        return (
            *self._table.records.newest,
            {
                key: count
                for key, count in self._table.in_flight.copy().items()
                if key not in in_use and count
            },
        )

    def _publish(self) -> None:
        """Tell how far this process is and what it works on; in this order, so that no request is missed."""
        self._told = self._state()
        self._beats += 1
        in_flight = [[*key, count] for key, count in self._table.in_flight.copy().items() if count]
        values = {
            "home": self._home,
            "pid": os.getpid(),
            "parent": os.getppid(),
            "connections": SHARE.count,
            "beats": self._beats,
            "routes": self._told[0],
            "splits": self._told[1],
            "in_flight": json.dumps(in_flight),
        }
        with self._engine.begin() as connection:
            own = peers.update().where(peers.c.name == self._name)
            if not connection.execute(own.values(values)).rowcount:
                connection.execute(peers.insert().values(name=self._name, **values))

    def _rows(self) -> Sequence[sa.Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(peers.select()).all()

    def _others(self) -> list[sa.Row[Any]]:
        return self._living.others(self._rows())

    def _leave(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(peers.delete().where(peers.c.name == self._name))


def _finish(turns: Sequence[Future[None]], error: Exception | None) -> None:
    for turn in turns:
        if turn.set_running_or_notify_cancel():
            if error is None:
                turn.set_result(None)
            else:
                turn.set_exception(error)
