"""Moves what was appended to spools into the database, in order, by one thread.

The rows of a chunk and the place in the spool up to which they reach are committed together, so that each row
is there once, whoever is killed when. The database itself takes the JSON apart: the thread spends its time
outside Python's lock, where it delays no request.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from perennial_gateway.database import failures, feedback, in_order, predictions, shadows, spools
from perennial_gateway.metrics import COMMIT_ROWS, COMMIT_SECONDS, REFUSED_ROWS
from perennial_gateway.spool import Full, Spool, append_whole

GATHER_SECONDS = 0.1
"""What comes in this time is committed together."""

AGAIN_SECONDS = 0.5
"""Between tries while the database does not answer."""

ADOPT_SECONDS = 5.0
"""Between looks for what killed processes left."""

ROTATE_BYTES = 16 << 20
"""A spool of which more is moved is replaced by a new one."""

LETTERS: Mapping[bytes, sa.Table] = {b"p": predictions, b"f": feedback, b"x": failures, b"s": shadows}
"""What a line begins with, and the table that it is for."""

REFUSED_SUFFIX = ".refused"

PLACE = sa.text("SELECT moved_bytes FROM spools WHERE name = :name")
KEEP_PLACE = sa.text(
    "INSERT INTO spools (name, moved_bytes) VALUES (:name, :moved) "
    "ON CONFLICT (name) DO UPDATE SET moved_bytes = excluded.moved_bytes"
)

logger = logging.getLogger("perennial_gateway.log")


class Mover:
    """The thread, and the spool that the event loop appends to.

    Attributes:
        spool: The one that is appended to now.
        fault: Why the database does not take rows, or the disk; empty where both do.
    """

    def __init__(self, engine: sa.Engine, folder: Path, most_bytes: int) -> None:
        self._engine = engine
        self._folder = folder
        self._most_bytes = most_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self.spool = self._moving = Spool.new(folder)
        self.fault = ""
        self._place = self._moved = self._appended = 0
        self._inserts = {letter: _insert(engine, table) for letter, table in LETTERS.items()}
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._progress = threading.Condition()
        self._appending = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="log-mover", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Move what is left, and end; where the database does not answer, it stays for the next start."""
        self._stopping = True
        self._hurry()
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def behind_bytes(self) -> int:
        """How much the database has not taken yet."""
        return self._appended - self._moved

    def append(self, lines: bytes) -> None:
        """Keep whole lines.

        Raises:
            Full: The database has not taken anything for long; none is kept.
            OSError: The disk takes no more; none is kept.
        """
        if self.behind_bytes + len(lines) > self._most_bytes:
            raise Full(f"{self._folder} holds {self.behind_bytes} bytes that the database has not taken")
        with self._appending:
            self.spool.append(lines)
            self._appended += len(lines)
        self._wake.set()

    def sync(self) -> None:
        """Return when everything that was appended is on disk, or in the database.

        The spool that is appended to comes first: where it has just been replaced, the other one is still
        being moved, or wholly in the database.
        """
        for spool in (self.spool, self._moving):
            spool.sync()

    def settle(self, seconds: float) -> bool:
        """Wait until everything appended before is in the database; False where it is not in time."""
        appended = self._appended
        self._hurry()
        with self._progress:
            return self._progress.wait_for(lambda: self._moved >= appended, seconds)

    def others_settle(self, seconds: float) -> bool:
        """Wait until what other processes had appended in this folder before is in the database, too; False
        where it is not in time. A killed one's has to be adopted first.

        Raises:
            sa.exc.SQLAlchemyError: The database does not answer.
        """
        wanted, until = Spool.ends(self._folder), time.monotonic() + seconds
        while self._is_behind(wanted):
            if time.monotonic() > until:
                return False
            time.sleep(GATHER_SECONDS)
        return True

    def _is_behind(self, wanted: Mapping[str, int]) -> bool:
        with self._engine.connect() as connection:
            moved = connection.execute(spools.select()).all()
        places = {row.name: row.moved_bytes for row in moved}
        # One that is gone now was wholly moved, though its place may be forgotten.
        return any(
            places.get(name, 0) < end and (self._folder / name).exists() for name, end in wanted.items()
        )

    def _hurry(self) -> None:
        self._urgent.set()
        self._wake.set()

    def _run(self) -> None:
        adopt_at, adopted = 0.0, True
        while not self._stopping:
            if time.monotonic() >= adopt_at:
                adopted = self._try(self._adopt)
                adopt_at = time.monotonic() + ADOPT_SECONDS
            self._wake.wait(ADOPT_SECONDS)
            self._urgent.wait(GATHER_SECONDS)
            self._wake.clear()
            self._urgent.clear()
            if not self._try(self._move):
                self._try_again()
            elif adopted:
                self.fault = ""
        if self._try(self._move) and not self.behind_bytes:
            self.spool.remove()
            self._forget(self.spool)

    def _try(self, does: Callable[[], bool]) -> bool:
        """Whether it was done; a disk that takes nothing, too, is asked again later: nobody but this thread
        moves the rows.
        """
        try:
            return does()
        except OSError as error:
            if not self.fault:
                logger.exception("The log's files cannot be used: predictions wait in %s", self.spool.path)
            self.fault = _told(error)
            return False

    def _try_again(self) -> None:
        if not self._stopping:
            time.sleep(AGAIN_SECONDS)
            self._wake.set()

    def _move(self) -> bool:
        """Move what this process had appended when this began; whether the database took it."""
        appended = self._appended
        while self._moved < appended:
            place = self._move_chunk(self._moving, self._place)
            if place is None:
                return False
            with self._progress:
                self._moved += place - self._place
                self._place = place
                self._progress.notify_all()
            self._rotate()
        return True

    def _rotate(self) -> None:
        """Append to a new spool where much of the old one is moved, which goes when all of it is."""
        if self._moving is self.spool and self._place > ROTATE_BYTES:
            new = Spool.new(self._folder)
            with self._appending:
                self.spool = new
        if self._moving is not self.spool and self._place == self._moving.end:
            old, self._moving, self._place = self._moving, self.spool, 0
            old.remove()
            self._forget(old)

    def _adopt(self) -> bool:
        """Finish the spools of processes that were killed; one that cannot be now is left for later."""
        for spool in Spool.left_behind(self._folder):
            with closing(spool):
                if not self._finish(spool):
                    return False
        return True

    def _finish(self, spool: Spool) -> bool:
        place = self._place_of(spool)
        while place is not None and spool.read(place):
            place = self._move_chunk(spool, place)
        if place is None:
            return False
        spool.remove()
        self._forget(spool)
        return True

    def _place_of(self, spool: Spool) -> int | None:
        """Up to where it has been moved; None where the database does not answer."""
        try:
            with self._engine.connect() as connection:
                found = connection.scalar(PLACE, {"name": spool.path.name})
        except sa.exc.SQLAlchemyError as error:
            self.fault = _told(error)
            return None
        return found or 0

    def _move_chunk(self, spool: Spool, start: int) -> int | None:
        """Move some lines; the place that follows them, or None where the database does not answer."""
        lines = spool.read(start).splitlines(keepends=True)
        end = start + sum(map(len, lines))
        try:
            moved = self._commit(spool, lines, start, end)
        except (sa.exc.SQLAlchemyError, ValueError) as error:
            if not is_of_the_rows(error):
                self._not_taken(error)
                return None
            return self._move_apart(spool, lines, start)
        self.fault = ""
        return moved

    def _move_apart(self, spool: Spool, lines: Sequence[bytes], place: int) -> int | None:
        """Line by line, where the database refuses one of them, which is kept in a file beside the spool.

        Returns:
            The place up to which they are in either; None where that is none of them.
        """
        start = place
        for line in lines:
            try:
                self._commit(spool, [line], place, place + len(line))
            except (sa.exc.SQLAlchemyError, ValueError) as error:
                if not is_of_the_rows(error):
                    self._not_taken(error)
                    return place if place > start else None
                if not self._try(partial(self._keep_refused, spool, line, error)):
                    return place if place > start else None
            place += len(line)
        with suppress(sa.exc.SQLAlchemyError):  # that the last one is out of the way, too, others have to see
            self._commit(spool, [], place, place)
        return place

    def _not_taken(self, error: Exception) -> None:
        if not self.fault:
            logger.error(
                "The log's database takes no rows, which wait in %s", self.spool.path, exc_info=error
            )
        self.fault = _told(error)

    def _commit(self, spool: Spool, lines: Sequence[bytes], start: int, end: int) -> int:
        """Keep lines and that they are moved; the place up to which the spool is.

        Where the answer to a commit was lost, that is beyond `start`: then nothing is kept twice.
        """
        started = time.perf_counter()
        with self._engine.begin() as connection:
            in_order(connection)
            if any(line[:1] not in self._inserts for line in lines):
                raise ValueError("The line is of none of the log's tables")
            moved = connection.scalar(PLACE, {"name": spool.path.name}) or 0
            if moved > start:
                return int(moved)
            for letter, insert in self._inserts.items():
                rows = [line[1:-1] for line in lines if line.startswith(letter)]
                if rows:
                    connection.execute(insert, {"rows": (b"[%s]" % b",".join(rows)).decode()})
            connection.execute(KEEP_PLACE, {"name": spool.path.name, "moved": end})
        COMMIT_SECONDS.observe(time.perf_counter() - started)
        COMMIT_ROWS.observe(len(lines))
        return end

    def _keep_refused(self, spool: Spool, line: bytes, error: Exception) -> bool:
        """Keep a line in a file beside the spool.

        Raises:
            OSError: The disk does not take it; none of it is kept.
        """
        file = spool.path.with_suffix(REFUSED_SUFFIX)
        with file.open("ab", buffering=0) as kept:
            end = kept.tell()
            try:
                append_whole(kept, line, file)
                os.fsync(kept.fileno())
            except OSError:
                kept.truncate(end)
                raise
        logger.error("The log's database refuses a row, which is kept in %s: %s", file, error)
        REFUSED_ROWS.inc()
        return True

    def _forget(self, spool: Spool) -> None:
        with suppress(sa.exc.SQLAlchemyError), self._engine.begin() as connection:
            connection.execute(spools.delete().where(spools.c.name == spool.path.name))


def is_of_the_rows(error: Exception) -> bool:
    """Whether a commit failed through what is in its rows, so that it always will; else the database takes
    none now: it is away, full, locked, read-only or lacks a table.

    Of what is no JSON, such as a line that a power cut left half on disk, SQLite says an OperationalError.
    """
    if isinstance(error, sa.exc.DBAPIError):
        faults = sa.exc.IntegrityError | sa.exc.DataError
        return isinstance(error, faults) or str(error.orig) == "malformed JSON"
    return isinstance(error, ValueError)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"


def _insert(engine: sa.Engine, table: sa.Table) -> sa.TextClause:
    """Insert an array of JSON objects into a table, as one statement; what an object lacks is null."""
    columns = [column for column in table.columns if column.name != "sequence"]
    names = ", ".join(column.name for column in columns)
    if engine.dialect.name == "sqlite":
        values = ", ".join(f"json_extract(value, '$.{column.name}')" for column in columns)
        return sa.text(f"INSERT INTO {table.name} ({names}) SELECT {values} FROM json_each(:rows)")  # noqa: S608 - of our own tables
    typed = ", ".join(f"{column.name} {column.type.compile(engine.dialect)}" for column in columns)
    rows = f"json_to_recordset(CAST(:rows AS json)) AS each({typed})"
    return sa.text(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {rows}")  # noqa: S608 - of our own tables
