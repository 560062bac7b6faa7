"""The guardian and its supervisor, here a shell: nothing below them outlives both."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedded import guardian, processes
from tasks.runtime.processes import kill
from tests.conftest import PROJECT

LOSES_A_CHILD = "trap 'exit 0' TERM; (trap '' TERM; exec setsid sleep 71) & while true; do wait; done"


def wait_for(home: Path, *, alive: bool) -> None:
    until = time.monotonic() + 20
    while any(each.name() == "sleep" for each in processes.find_marked(home)) != alive:
        assert time.monotonic() < until, processes.find_marked(home)
        time.sleep(0.05)


@pytest.fixture
def started(tmp_path: Path) -> "subprocess.Popen[bytes]":
    """A guardian whose supervisor has a deaf child in a session of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", guardian.__name__, str(tmp_path / "lock"), "sh", "-c", LOSES_A_CHILD],
        cwd=PROJECT,
        env={**os.environ, processes.MARK: str(tmp_path)},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    wait_for(tmp_path, alive=True)
    return process


def test_what_a_supervisor_leaves_behind_ends_though_the_guardian_was_killed(
    started: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    kill(started.pid)
    with started:
        wait_for(tmp_path, alive=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, None], ids=["asked to", "its owner is gone"])
def test_it_ends_with_everything_below_it_and_leaves_no_witness(
    started: "subprocess.Popen[bytes]", tmp_path: Path, number: signal.Signals | None
) -> None:
    with started:
        if number:
            started.send_signal(number)
        elif started.stdin:
            started.stdin.close()
        assert started.wait(20) == 0
        assert processes.find_marked(tmp_path) == []
