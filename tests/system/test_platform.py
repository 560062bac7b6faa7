"""The embedded platform under accidents: ports that are taken, processes that are killed, states that are stale."""

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
from embedded.errors import AlreadyRunning, NoRoom, PlatformError, PortTaken
from embedded.platform import SERVICES, Platform
from tests.system.conftest import SMALL, embedded

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
    while (left := processes.marked(home)) and time.monotonic() < until:
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
        with pytest.raises(PortTaken, match=rf"Port {port} \(PERENNIAL_GATEWAY_PORT\) is in use by process {os.getpid()} "):
            Platform(tmp_path, **SMALL, gateway_port=port).start()
    assert processes.marked(tmp_path) == []


def test_a_machine_without_room_is_told_what_is_needed_and_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match=r"has \d+ MiB of available memory; the platform needs 99999999 MiB"):
        Platform(tmp_path, minimum_memory_mib=99_999_999).start()
    with pytest.raises(NoRoom, match=r"has \d+ MiB of free disk; the platform needs 99999999999 MiB"):
        Platform(tmp_path, minimum_disk_mib=99_999_999_999).start()


def test_a_service_that_cannot_start_is_quoted_and_everything_is_stopped_again(own_home: Path, tmp_path: Path) -> None:
    for name in ("control", "ml", "serving"):
        (tmp_path / name).symlink_to(Platform(own_home).settings.environments / name)
    broken = tmp_path / "gateway" / "bin" / "python"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\necho the disk of the gateway is full of sand\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(PlatformError, match=r"(?s)Did not start, in four tries: gateway.*full of sand"):
        Platform(own_home, **SMALL, environments=tmp_path).start()
    assert processes.marked(own_home) == []


@pytest.mark.parametrize("victims", [("supervisord",), ("up", "guardian")], ids=" and ".join)
def test_no_process_outlives_a_platform_of_which_a_part_was_killed(own_home: Path, victims: tuple[str, ...]) -> None:
    up = embedded(own_home, "up")
    wait_for_line(up, "Everything answers")
    guardian = Platform(own_home).guardian
    assert guardian
    pids = {"up": up.pid, "guardian": guardian, "supervisord": psutil.Process(guardian).children()[0].pid}
    assert len(processes.marked(own_home)) > len(SERVICES)
    for victim in victims:
        os.kill(pids[victim], signal.SIGKILL)
    said = up.communicate(timeout=60)[0]
    assert wait_until_gone(own_home, timeout_seconds=30) == []
    assert "up" in victims or (up.returncode == 1 and "The platform ended by itself" in said), said


def test_stop_from_another_shell_ends_the_platform_and_who_waits_for_it(own_home: Path) -> None:
    up = embedded(own_home, "up")
    wait_for_line(up, "Everything answers")
    down = embedded(own_home, "down")
    assert down.communicate(timeout=60)[0] == "Stopped the platform.\n"
    assert up.communicate(timeout=60)[0].endswith("The platform was stopped from elsewhere.\n")
    assert (up.returncode, down.returncode) == (0, 0)
    assert processes.marked(own_home) == []


def test_stop_ends_what_a_platform_without_a_head_left_even_if_it_does_not_listen(tmp_path: Path) -> None:
    deaf = ["sh", "-c", "trap '' TERM; while true; do sleep 60; done"]
    with subprocess.Popen(deaf, env={**os.environ, processes.MARK: str(tmp_path)}, start_new_session=True) as left:
        down = embedded(tmp_path, "down")
        said = down.communicate(timeout=60)[0]
        assert left.wait(timeout=10) == -signal.SIGKILL
    assert down.returncode == 0
    assert "Ended what was left of it: sh -c trap" in said
    assert processes.marked(tmp_path) == []


def test_stop_does_not_touch_a_stranger_whose_id_an_old_file_holds(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (tmp_path / "supervisor").mkdir()
        (tmp_path / "supervisor" / "guardian.lock").write_text(str(stranger.pid))
        said = Platform(tmp_path).stop()
        assert said == []
        assert stranger.poll() is None
        stranger.kill()


def test_every_service_that_is_killed_comes_back_and_leaves_no_orphan(platform: Platform) -> None:
    before = platform.processes()
    assert set(before) == set(SERVICES)
    children = [child for pid in before.values() for child in psutil.Process(pid).children(recursive=True)]
    for name in SERVICES:
        platform.kill(name)
    platform.wait_until_healthy()
    after = platform.processes()
    assert {name for name in SERVICES if after[name] == before[name]} == set()
    assert [child for child in children if child.is_running()] == []


def test_a_second_start_says_where_the_first_runs(platform: Platform) -> None:
    with pytest.raises(AlreadyRunning, match=f"already running: Airflow {platform.addresses.airflow}"):
        Platform(platform.home, **SMALL).start()
    up = embedded(platform.home, "up")
    assert platform.addresses.gateway in up.communicate(timeout=30)[0]
    assert up.returncode == 0
    assert set(platform.processes()) == set(SERVICES)


def test_nothing_listens_beyond_loopback(platform: Platform) -> None:
    guardian = platform.guardian
    assert guardian
    listening = [
        connection.laddr.ip
        for process in psutil.Process(guardian).children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= len(SERVICES) - 3
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_secrets_are_for_this_user_only(platform: Platform) -> None:
    private = [platform.home / "secrets.json", *(platform.home / "supervisor").glob("*.json")]
    assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}
    assert (platform.home / "supervisor").stat().st_mode & 0o077 == 0


def test_an_airflow_command_from_a_shell_reaches_the_platform(platform: Platform) -> None:
    listed = embedded(platform.home, "run", "airflow", "dags", "list", "--output=plain")
    said = listed.communicate(timeout=60)[0]
    assert listed.returncode == 0, said
    assert "train_review_sentiment" in said
