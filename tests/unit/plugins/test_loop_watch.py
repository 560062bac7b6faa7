"""The dead man's switch: a loop that has stopped is told once, by a process that does not stop with it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins import loop_watch
from plugins.loop_watch import LoopWatch
from tasks.monitoring.loop.beats import beat, newest_beat, told_of_silence
from tasks.settings import settings
from tasks.stores import database
from tests.conftest import PROJECT
from tests.dags.inboxes import WebServer, serving

MINUTE, START = timedelta(minutes=1), datetime(2026, 11, 1, tzinfo=UTC)
LIMIT = 15
"""PERENNIAL_LOOP_SILENT_MINUTES, by default."""
BEATING = """
import time
from datetime import UTC, datetime
from tasks.monitoring.loop.beats import beat
while True:
    beat(datetime.now(UTC))
    time.sleep(0.1)
"""


@pytest.fixture
def hook(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A channel of the alerts."""
    server = WebServer()
    connection = {"conn_type": "http", "host": f"http://127.0.0.1:{server.server_port}/alerts"}
    monkeypatch.setenv("AIRFLOW_CONN_HOOK_OPS", json.dumps(connection))
    monkeypatch.setenv("PERENNIAL_ALERTS", "hook_ops")
    settings.cache_clear()
    with serving(server):
        yield server


def told(hook: WebServer) -> list[str]:
    """What the channel was told, as kinds."""
    return [alert["kind"] for _, document in hook.posts for alert in document["alerts"]]


def look(watch: LoopWatch, since: int, until: int) -> None:
    """Look each minute."""
    for minute in range(since, until):
        watch.look(START + minute * MINUTE)


def test_a_loop_that_stops_is_told_once_reminded_of_after_a_day_and_told_when_it_is_back(
    hook: WebServer,
) -> None:
    watch = LoopWatch(START)
    for minute in range(60):
        beat(START + minute * MINUTE)
        watch.look(START + minute * MINUTE)
    look(watch, 60, 59 + LIMIT + 1)
    assert hook.posts == [], "it may be silent for so long"

    look(watch, 59 + LIMIT + 1, 24 * 60)

    [(_, message)] = hook.posts
    [alert] = message["alerts"]
    assert message["title"] == "[Perennial] perennial: the loop is silent"
    assert (alert["kind"], alert["reason"], alert["since"]) == ("new", "silent_loop", "2026-11-01T00:59:00Z")
    assert "It was last at work at 2026-11-01 00:59 UTC." in message["text"]
    assert "whether the DAG reconcile_ledger is paused" in message["text"]
    assert message["page"].endswith("/perennial/models/")

    look(watch, 24 * 60, 26 * 60)
    assert told(hook) == ["new", "reminder"]
    for minute in range(26 * 60, 27 * 60):
        beat(START + minute * MINUTE)
        watch.look(START + minute * MINUTE)
    assert told(hook) == ["new", "reminder", "resolved"]
    assert hook.posts[-1][1]["title"] == "[Perennial] perennial: over: the loop is silent"


def test_a_loop_that_never_began_is_told_too(hook: WebServer) -> None:
    look(LoopWatch(START), 0, 60)
    assert told(hook) == ["new"]
    assert "It has not been at work yet." in hook.posts[0][1]["text"]


def test_the_time_that_nobody_watched_counts_for_nothing_and_ends_no_silence(hook: WebServer) -> None:
    beat(START - timedelta(days=3))
    watch = LoopWatch(START)
    look(watch, 0, LIMIT + 1)
    assert hook.posts == [], "the platform was off for three days"
    watch.begin_anew(START + 10 * 60 * MINUTE)
    look(watch, 600, 600 + LIMIT + 1)
    assert hook.posts == [], "the machine slept"

    look(watch, 600 + LIMIT + 1, 700)
    watch.begin_anew(START + 1000 * MINUTE)
    look(watch, 1000, 1100)

    assert told(hook) == ["new"], "it has not been back"


def test_a_watcher_that_is_started_again_knows_what_was_told(hook: WebServer) -> None:
    look(LoopWatch(START), 0, 60)
    assert list(told_of_silence()) == ["hook_ops"]
    look(LoopWatch(START + 60 * MINUTE), 60, 120)
    assert told(hook) == ["new"]
    beat(START + 120 * MINUTE)
    look(LoopWatch(START + 120 * MINUTE), 120, 121)
    assert told(hook) == ["new", "resolved"]
    assert told_of_silence() == {}


def test_a_channel_that_refuses_is_told_again_until_it_takes_it(hook: WebServer) -> None:
    hook.status, watch = 503, LoopWatch(START)
    look(watch, 0, 30)
    assert hook.posts == []
    hook.status = 200
    look(watch, 30, 60)
    assert told(hook) == ["new"]


def test_a_connection_that_is_missing_ends_nothing_and_hinders_no_other(
    hook: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_ALERTS", "nowhere, hook_ops")
    settings.cache_clear()
    look(LoopWatch(START), 0, 60)
    assert told(hook) == ["new"]


@contextmanager
def away(home: Path) -> Iterator[None]:
    """The database, gone as with its disk: a folder lies in its place."""
    database.engine().dispose()
    file = home / "perennial.db"
    for part in home.glob("perennial.db-*"):
        part.unlink()
    file.rename(home / "kept.db")
    file.mkdir()
    yield
    file.rmdir()
    (home / "kept.db").rename(file)


def test_a_database_that_is_away_is_a_silence_and_what_was_told_meanwhile_is_kept(
    hook: WebServer, home: Path
) -> None:
    beat(START)
    watch = LoopWatch(START)
    watch.look(START)
    with away(home):
        look(watch, 1, 60)
        assert told(hook) == ["new"]
        assert "The platform's database does not answer" in hook.posts[0][1]["text"]

    look(watch, 60, 61)
    assert list(told_of_silence()) == ["hook_ops"], "it is written down as soon as it can be"
    beat(START + 61 * MINUTE)
    look(watch, 61, 62)
    assert told(hook) == ["new", "resolved"]


def test_a_home_that_is_gone_is_a_silence_too(
    hook: WebServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(START)
    watch = LoopWatch(START)
    watch.look(START)
    monkeypatch.setattr(loop_watch, "newest_beat", gone)
    look(watch, 1, 60)
    assert told(hook) == ["new"]


def gone() -> None:
    raise FileNotFoundError("/srv/perennial")


@contextmanager
def process(*arguments: str, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A program of the project, killed at the end."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), **variables}
    started = subprocess.Popen([sys.executable, *arguments], env=environment)
    yield started
    started.kill()
    started.wait()


def until(holds: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def test_the_process_tells_when_what_writes_the_beats_is_killed_and_when_it_is_back(
    hook: WebServer, home: Path
) -> None:
    mark, soon = home / "looked", {"PERENNIAL_LOOP_SILENT_MINUTES": "0.05"}
    with process("-c", BEATING) as beating:
        until(newest_beat)
        with process("-m", "plugins.loop_watch", str(mark), **soon) as watcher:
            until(mark.exists)
            beating.send_signal(signal.SIGKILL)
            until(lambda: told(hook)[-1:] == ["new"])
            with process("-c", BEATING):
                until(lambda: told(hook)[-1:] == ["resolved"])
            assert watcher.poll() is None


def test_a_channel_that_never_answers_keeps_no_other_from_being_told(
    hook: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/alerts"
        monkeypatch.setenv("AIRFLOW_CONN_MUTE", json.dumps({"conn_type": "http", "host": url}))
        monkeypatch.setenv("PERENNIAL_ALERTS", "mute, hook_ops")
        monkeypatch.setattr("plugins.alerts.PATIENCE_SECONDS", 0.5)
        settings.cache_clear()
        looking = threading.Thread(target=look, args=(LoopWatch(START), 16, 17), daemon=True)
        looking.start()
        until(lambda: told(hook) == ["new"], 60)
        looking.join(60)


def test_a_loop_that_stops_when_the_clock_is_set_back_is_missed_all_the_same(hook: WebServer) -> None:
    beat(START + timedelta(days=1))
    watch = LoopWatch(START + timedelta(days=1))
    watch.begin_anew(START)
    look(watch, 0, 60)
    assert told(hook) == ["new"]


def test_a_loop_that_is_back_after_the_clock_was_set_back_is_called_silent_no_longer(hook: WebServer) -> None:
    day = 24 * 60
    beat(START + day * MINUTE)
    watch = LoopWatch(START + day * MINUTE)
    look(watch, day, day + 20)
    watch.begin_anew(START)
    look(watch, 0, 5)
    assert told(hook) == ["new"], "it has not been back"
    beat(START + 5 * MINUTE)
    look(watch, 5, 6)
    assert told(hook) == ["new", "resolved"]


def test_a_mark_that_cannot_be_left_ends_no_watch(hook: WebServer, home: Path) -> None:
    soon = {"PERENNIAL_LOOP_SILENT_MINUTES": "0.05"}
    with process("-m", "plugins.loop_watch", str(home / "nowhere" / "looked"), **soon) as watcher:
        until(lambda: told(hook) == ["new"])
        assert watcher.poll() is None
