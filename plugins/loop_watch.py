"""`loop-watch`: tell people when the loop itself has stopped, and when it is back.

A process of its own, `python -m plugins.loop_watch [MARK]`, for what has stopped tells nothing: it reads the
beats that the DAG of each minute leaves, and sends by the same channels. What it has told is in the database
and, where that is away, in its memory. Connections that are made in Airflow's pages need Airflow's database;
those of the environment need nothing. MARK is a file that it touches at each look.
"""

import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from tasks.contracts import Told, Trouble
from tasks.errors import PerennialError
from tasks.monitoring.alerts.due import Item, due
from tasks.monitoring.alerts.message import compose
from tasks.monitoring.loop.beats import keep_told, newest_beat, told_of_silence
from tasks.monitoring.loop.silence import MODEL, silence, told_before
from tasks.settings import separated, settings

log = logging.getLogger("loop-watch")

LONGEST_PAUSE_SECONDS = 20.0
"""Between two looks, at most."""
LOOKS = 4
"""At least so many while the loop may be silent."""
ASLEEP = 3
"""A pause so many times as long as it should be: the machine slept, and the loop with it."""


class LoopWatch:
    """Watches the loop from `now` on."""

    def __init__(self, now: datetime) -> None:
        self._since = now
        self._beat: datetime | None = None
        self._told: dict[str, Told] | None = None
        self._is_written = True

    def begin_anew(self, now: datetime) -> None:
        """Forget for how long the loop was silent: nobody watched."""
        self._since = now

    def look(self, now: datetime) -> list[str]:
        """Tell the channels what they have to be told, and return the titles of what was sent.

        A channel that does not take its message is told at the next look, and hinders no other.
        """
        trouble = self._silence(now)
        sent = []
        for name in separated(settings().alerts):
            try:
                sent += self._tell(name, trouble, now)
            except Exception:  # whatever a notifier raises
                log.exception("%s was not told of the loop; it is tried again.", name)
        self._write()
        return sent

    def _silence(self, now: datetime) -> Trouble | None:
        unreadable = self._read()
        known = [each.since for each in (self._told or {}).values()]
        return silence(
            self._beat,
            self._since,
            now,
            timedelta(minutes=settings().loop_silent_minutes),
            told_since=max(known, default=None),
            unreadable=unreadable,
        )

    def _read(self) -> str | None:
        """Read the newest beat and, once, what was told; why neither can be read, None where they can."""
        try:
            self._beat = newest_beat()
            if self._told is None:
                self._told = told_of_silence()
        except (PerennialError, sa.exc.SQLAlchemyError, OSError) as error:
            log.warning("The beats cannot be read: %s", error)
            return f"The platform's database does not answer ({type(error).__name__})."
        return None

    def _tell(self, name: str, trouble: Trouble | None, now: datetime) -> list[str]:
        told = self._told if self._told is not None else {}
        remind_after = timedelta(hours=settings().alerts_remind_hours)
        before = [told[name]] if name in told else []
        items = due([trouble] if trouble else [], before, [], now, remind_after)
        if not items:
            return []
        title = _send(name, items)
        self._told = {other: each for other, each in told.items() if other != name}
        if trouble:
            self._told[name] = told_before(trouble.since, now)
        self._is_written = False
        return [title]

    def _write(self) -> None:
        if self._is_written or self._told is None:
            return
        try:
            keep_told(self._told)
            self._is_written = True
        except (PerennialError, sa.exc.SQLAlchemyError, OSError) as error:
            log.warning("What was told cannot be written down; it is tried again: %s", error)


def _send(name: str, items: list[Item]) -> str:
    """Airflow is imported when there is something to tell: until then this process is a small one."""
    from plugins.alerts import channel, links, overview_page

    message = compose(MODEL, items, links, overview_page())
    channel(name).send(message)
    log.info("%s was told: %s", name, message.title)
    return message.title


def main(mark: Path | None) -> None:
    """Look until the process is ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Airflow gives connections of its database to its own services alone, of which this is one.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    pause = min(LONGEST_PAUSE_SECONDS, settings().loop_silent_minutes * 60 / LOOKS)
    watch = LoopWatch(datetime.now(UTC))
    while True:
        watch.look(datetime.now(UTC))
        if mark:
            _leave(mark)
        before = time.time()
        time.sleep(pause)
        if not 0 <= time.time() - before <= ASLEEP * pause:
            log.info("Nobody watched for a while, as where a machine sleeps, or the clock was set.")
            watch.begin_anew(datetime.now(UTC))


def _leave(mark: Path) -> None:
    """Touch the mark. Where that is not possible, as on a full disk, who looks for it says so; to end would
    be to begin the silence anew at each start, and never to tell it.
    """
    try:
        mark.touch()
    except OSError as error:
        log.warning("The mark of the look cannot be left: %s", error)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
