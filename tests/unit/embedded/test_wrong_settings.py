"""Whatever the settings say, the embedded platform answers with a sentence, and what runs can be stopped."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import clone, ports, services
from embedded.errors import PlatformError, PortTaken
from embedded.requirements import make_home
from embedded.settings import PORTS, EmbeddedSettings
from tasks.settings import CLONE, PROJECT

HOLD = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), file=lock, flush=True)
print("held", flush=True)
time.sleep(60)
"""
WRONG = {
    "PERENNIAL_AIRFLOW_PORT": "abc",
    "PERENNIAL_GATEWAY_PORT": "70000",
    "PERENNIAL_DAGS_PAUSED": "maybe",
    "PERENNIAL_AIRFLOW_OPTIONS": "{",
    "PERENNIAL_STOP_TIMEOUT_SECONDS": "soon",
}


@pytest.fixture
def guardian(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """What holds the lock of a platform that runs on `tmp_path`."""
    lock = tmp_path / "supervisor" / "guardian.lock"
    lock.parent.mkdir()
    (tmp_path / "ports.json").write_text(json.dumps(dict.fromkeys(PORTS, 20_001)))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def embedded(home: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "embedded", command],
        cwd=PROJECT,
        env={**os.environ, "PERENNIAL_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_runs_is_seen_and_stopped_whatever_is_wrong_with_the_settings(
    guardian: subprocess.Popen[str], tmp_path: Path
) -> None:
    status = embedded(tmp_path, "status", **WRONG)
    stopped = embedded(tmp_path, "down", **WRONG)

    assert "Gateway   http://127.0.0.1:20001" in status.stdout
    assert "Stopped the platform." in stopped.stdout
    assert stopped.returncode == 0
    assert guardian.wait(10) != 0
    for said in (status.stderr, stopped.stderr):
        assert all(f"{name} (from the environment) is " in said for name in WRONG)
        assert "Traceback" not in said


def test_a_wrong_setting_is_told_at_the_start(tmp_path: Path) -> None:
    up = embedded(tmp_path, "up", PERENNIAL_GATEWAY_PORT="70000")
    assert up.stderr.startswith("InvalidSettings: PERENNIAL_GATEWAY_PORT (from the environment) is wrong")
    assert up.returncode == 1


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (Path("/proc/x"), Path("/proc"), tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(PlatformError, match=rf"state cannot be written to {home}: .*PERENNIAL_HOME"):
            make_home(home)


def test_what_another_clone_exported_is_dropped_whatever_the_settings_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**WRONG, CLONE: str(tmp_path), "PERENNIAL_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    clone.forget_another(services.exports())
    assert "PERENNIAL_HOME" not in os.environ


def test_one_port_for_two_services_is_told(tmp_path: Path) -> None:
    port = ports.free_port()
    settings = EmbeddedSettings(home=tmp_path, airflow_port=port, gateway_port=port)
    with pytest.raises(PortTaken, match="PERENNIAL_GATEWAY_PORT and PERENNIAL_AIRFLOW_PORT are both"):
        ports.choose(settings)
