"""Platforms that start and end by accident: ports that
are taken, heads that are killed, states that are stale.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from embedded import processes
from embedded.errors import NoRoom, PlatformError, PortTaken
from embedded.platform import SERVICES, Platform
from tests.system.conftest import SMALL, embedded, wait_until

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder for platforms that are killed; its database is prepared by the first that starts."""
    home = tmp_path_factory.mktemp("own home #1")
    yield home
    processes.sweep(home)


def wait_until_gone(home: Path, *, timeout_seconds: float) -> list[str]:
    """Wait until no process of the platform is left; return the commands of those that are."""
    until = time.monotonic() + timeout_seconds
    while (left := processes.find_marked(home)) and time.monotonic() < until:
        time.sleep(0.2)
    return [" ".join(process.cmdline()) for process in left if process.is_running()]


def wait_for_line(process: "subprocess.Popen[str]", words: str) -> str:
    """Read the output until a line has these words; return all of it."""
    assert process.stdout
    read = ""
    for line in process.stdout:
        read += line
        if words in line:
            return read
    raise AssertionError(f"{words!r} was never said, but: {read}")


def test_a_fixed_port_that_is_taken_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(
            PortTaken, match=rf"Port {port} \(PERENNIAL_GATEWAY_PORT\) is in use by process {os.getpid()} "
        ):
            Platform(tmp_path, **SMALL, gateway_port=port).start()
    assert processes.find_marked(tmp_path) == []


def test_a_machine_without_room_is_told_what_is_needed_and_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match=r"has \d+ MiB of available memory; the platform needs 99999999 MiB"):
        Platform(tmp_path, minimum_memory_mib=99_999_999).start()
    with pytest.raises(NoRoom, match=r"has \d+ MiB of free disk; the platform needs 99999999999 MiB"):
        Platform(tmp_path, minimum_disk_mib=99_999_999_999).start()


def put_program(environments: Path, name: str, script: str) -> None:
    """Let a program of an environment, `control/bin/airflow` for one, be a shell script."""
    file = environments / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_a_service_that_cannot_start_is_quoted_and_everything_is_stopped_again(
    own_home: Path, tmp_path: Path
) -> None:
    """The databases are really prepared. The other services only stay, for each costs seconds to start."""
    real = Platform(own_home).settings.environments
    for name in ("control", "ml"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lib").symlink_to(real / name / "lib")
    put_program(tmp_path, "control/bin/python", f'exec {real}/control/bin/python "$@"')
    put_program(tmp_path, "control/bin/airflow", "exec sleep 600")
    serves = f'case "$1" in *serve_mlflow.py) exec sleep 600 ;; *) exec {real}/ml/bin/python "$@" ;; esac'
    put_program(tmp_path, "ml/bin/python", serves)
    put_program(tmp_path, "serving/bin/python", "exec sleep 600")
    put_program(tmp_path, "gateway/bin/python", "echo the disk of the gateway is full of sand; exit 3")
    with pytest.raises(PlatformError, match=r"(?s)Did not start, in four tries: gateway.*full of sand"):
        Platform(own_home, **SMALL, environments=tmp_path).start()
    assert processes.find_marked(own_home) == []


def test_no_process_outlives_a_platform_whose_supervisor_was_killed(own_home: Path) -> None:
    up = embedded(own_home, "up")
    wait_for_line(up, "Everything answers")
    guardian = Platform(own_home).guardian
    assert guardian
    assert len(processes.find_marked(own_home)) > len(SERVICES)
    psutil.Process(guardian).children()[0].kill()
    said = up.communicate(timeout=60)[0]
    assert (up.returncode, wait_until_gone(own_home, timeout_seconds=30)) == (1, [])
    assert "The platform ended by itself" in said


def test_no_process_outlives_its_start_when_everybody_who_could_end_it_was_killed(own_home: Path) -> None:
    up = embedded(own_home, "up")
    scheduler = wait_until(
        lambda: Platform(own_home).processes().get("airflow-scheduler"), "a scheduler", timeout_seconds=60
    )
    wait_until(
        lambda: psutil.Process(scheduler).children(), "the workers of the scheduler", timeout_seconds=60
    )
    guardian = Platform(own_home).guardian
    assert guardian
    for victim in (up.pid, guardian):
        os.kill(victim, signal.SIGKILL)
    up.communicate(timeout=60)
    assert wait_until_gone(own_home, timeout_seconds=30) == []


def test_stop_ends_what_a_platform_without_a_head_left_even_if_it_does_not_listen(tmp_path: Path) -> None:
    deaf = ["sh", "-c", "trap '' TERM; while true; do sleep 60; done"]
    with subprocess.Popen(
        deaf, env={**os.environ, processes.MARK: str(tmp_path)}, start_new_session=True
    ) as left:
        down = embedded(tmp_path, "down")
        said = down.communicate(timeout=60)[0]
        assert left.wait(timeout=10) == -signal.SIGKILL
    assert down.returncode == 0
    assert "Ended what was left of it: sh -c trap" in said
    assert processes.find_marked(tmp_path) == []


def test_stop_does_not_touch_a_stranger_whose_id_an_old_file_holds(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (tmp_path / "supervisor").mkdir()
        (tmp_path / "supervisor" / "guardian.lock").write_text(str(stranger.pid))
        said = Platform(tmp_path).stop()
        assert said == []
        assert stranger.poll() is None
        stranger.kill()
