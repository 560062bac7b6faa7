"""Platforms that start and end by accident: ports that
are taken, heads that are killed, states that are stale.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import processes
from embedded.errors import NoRoom, PlatformError, PortTaken
from embedded.platform import Platform
from tests.system.conftest import SMALL, embedded

pytestmark = pytest.mark.platform


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A state folder for a platform that ends by accident."""
    home = tmp_path / "own home #1"
    home.mkdir()
    yield home
    processes.sweep(home)


def put_program(environments: Path, name: str, script: str) -> None:
    """Let a program of an environment, `control/bin/airflow` for one, be a shell script."""
    file = environments / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


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


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """Environments whose heavy programs only stay, for each costs seconds to start; what starts them, watches
    them and ends them is real.
    """
    real = Platform(tmp_path / "nowhere").settings.environments
    folder = tmp_path / "environments"
    for name in ("control", "ml"):
        (folder / name).mkdir(parents=True)
        (folder / name / "lib").symlink_to(real / name / "lib")
    prepares = 'case "$*" in *embedded.airflow_database*) exit 0 ;; esac'
    put_program(folder, "control/bin/python", f'{prepares}; exec {real}/control/bin/python "$@"')
    put_program(folder, "control/bin/airflow", "exec sleep 600")
    put_program(folder, "ml/bin/python", 'case "$1" in *serve_mlflow.py) exec sleep 600 ;; esac')
    for name in ("serving", "gateway"):
        put_program(folder, f"{name}/bin/python", "exec sleep 600")
    return folder


def test_a_service_that_cannot_start_is_quoted_and_everything_is_stopped_again(
    stand_ins: Path, own_home: Path
) -> None:
    put_program(stand_ins, "gateway/bin/python", "echo the disk of the gateway is full of sand; exit 3")
    with pytest.raises(PlatformError, match=r"(?s)Did not start, in four tries: gateway.*full of sand"):
        Platform(own_home, **SMALL, environments=stand_ins).start()
    assert processes.find_marked(own_home) == []


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
