"""The end of the platform that the other system tests used; they have run before. On what they left it starts
twice more, and ends by accident.
"""

import os
import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from embedded import processes
from embedded.platform import SERVICES, Platform
from tests.system.conftest import Up, embedded, wait_until, wait_until_gone

pytestmark = pytest.mark.platform


@pytest.fixture(autouse=True)
def nothing_left(up: Up) -> Iterator[None]:
    yield
    processes.sweep(up.home)


def test_stop_from_another_shell_ends_who_waits_for_it_and_not_what_is_started_at_once(
    up: Up, configuration: dict[str, str]
) -> None:
    """And no process outlives that one when everybody who could end it was killed."""
    down = embedded(up.home, "down")
    assert down.communicate(timeout=60)[0] == "Stopped the platform.\n"
    assert down.returncode == 0
    again = embedded(up.home, "up", output=subprocess.PIPE, **configuration)
    assert up.process.wait(60) == 0
    assert up.said.endswith("The platform was stopped from elsewhere.\n")
    scheduler = wait_until(
        lambda: Platform(up.home).processes().get("airflow-scheduler"), "a scheduler", timeout_seconds=60
    )
    wait_until(
        lambda: psutil.Process(scheduler).children(), "the workers of the scheduler", timeout_seconds=60
    )
    guardian = Platform(up.home).guardian
    assert guardian
    for victim in (again.pid, guardian):
        os.kill(victim, signal.SIGKILL)
    again.communicate(timeout=60)
    assert wait_until_gone(up.home, timeout_seconds=30) == []


def test_no_process_outlives_a_platform_whose_supervisor_was_killed(
    up: Up, configuration: dict[str, str]
) -> None:
    again = embedded(up.home, "up", output=subprocess.PIPE, **configuration)
    assert again.stdout
    said = ""
    for line in again.stdout:
        said += line
        if "Everything answers" in line:
            break
    guardian = Platform(up.home).guardian
    assert guardian, said
    assert len(processes.find_marked(up.home)) > len(SERVICES)
    [supervisor] = [
        each for each in psutil.Process(guardian).children() if "supervisor.supervisord" in each.cmdline()
    ]
    supervisor.kill()
    said += again.communicate(timeout=60)[0]
    assert (again.returncode, wait_until_gone(up.home, timeout_seconds=30)) == (1, [])
    assert "The platform ended by itself" in said
