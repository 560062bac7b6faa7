"""Whatever carries a mark is ended, in whatever session and however deaf it is, and nothing else."""

import os
import signal
import subprocess
import sys
import time

from tasks.runtime import processes
from tests.conftest import PROJECT

MARK = "PERENNIAL_TEST_MARK"
DEAF_PARENT = "trap '' TERM; setsid sleep 61 & wait; while true; do sleep 62; done"


def start(script: str, mark: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, MARK: mark}
    return subprocess.Popen(["sh", "-c", script], env=environment, start_new_session=True)


def wait_for(count: int, mark: str) -> None:
    until = time.monotonic() + 10
    while len(processes.find_marked(MARK, mark)) != count:
        assert time.monotonic() < until, processes.find_marked(MARK, mark)
        time.sleep(0.05)


def test_what_carries_the_mark_is_ended_with_grandchildren_in_sessions_of_their_own() -> None:
    with start(DEAF_PARENT, "mine") as mine, start("sleep 63", "theirs") as theirs:
        wait_for(2, "mine")
        said = processes.end_marked(MARK, "mine", patience_seconds=0.3)
        mine.wait(5)
        assert any("sleep 61" in command for command in said)
        assert processes.find_marked(MARK, "mine") == []
        assert theirs.poll() is None
        processes.end_marked(MARK, "theirs", patience_seconds=5)
        assert processes.find_marked(MARK, "theirs") == []


def test_the_program_kills_once_nobody_holds_its_standard_input() -> None:
    command = [sys.executable, "-m", processes.__name__, MARK, "watched"]
    with (
        start(DEAF_PARENT, "watched") as watched,
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE) as reaper,
    ):
        wait_for(2, "watched")
        assert reaper.stdin
        reaper.stdin.close()
        assert reaper.wait(20) == 0
        assert watched.wait(5) == -signal.SIGKILL


def test_a_process_that_is_gone_is_no_fault() -> None:
    with start("exit 0", "gone") as gone:
        gone.wait(5)
    processes.kill(gone.pid)
    processes.kill_session(gone.pid)
    processes.end_one(gone.pid, patience_seconds=1)
