"""`make demo ON=compose` starts what does not run, removes only what it started, and never somebody's data.

The script is the real one; `docker` and the scripts that it calls are stand-ins that write down what they are
asked.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.settings import PROJECT

SCRIPTS = PROJECT / "containers" / "compose"
DOCKER = r"""#!/bin/sh
case "$*" in
version* | "compose version") exit 0 ;;
"ps --all"*) [ ! -f "$HERE/runs" ] || echo "gateway 1 running Up (healthy)" ;;
"ps --quiet"*) echo 1 ;;
"volume ls"*) [ ! -f "$HERE/kept" ] || echo perennial_postgres ;;
stats*) printf '1.5GiB / 2GiB\n100MiB / 2GiB\n512KiB / 2GiB\n' ;;
cp*)
    [ -f "$HERE/reported" ] || exit 1
    printf '{\n  "containers_peak_mib": null,\n  "complete": true\n}' > demo-report.json
    ;;
compose*run*) echo "told $*" >> "$HERE/asked"; sleep 0.5; exit "$TOLD" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone on a machine whose engine has nothing of ours."""
    folder = tmp_path / "containers" / "compose"
    folder.mkdir(parents=True)
    for name in ("common.sh", "demo.sh"):
        shutil.copy(SCRIPTS / name, folder / name)
    (folder / "up.sh").write_text('echo up >> "$HERE/asked"; touch "$HERE/runs"; exit "${STARTED:-0}"\n')
    (folder / "down.sh").write_text('echo "down KEEP=$KEEP" >> "$HERE/asked"\n')
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    (tmp_path / ".env").write_text("COMPOSE_PROJECT_NAME=perennial\n")
    (tmp_path / "reported").touch()
    return tmp_path


def demo(
    clone: Path, *options: str, **variables: str
) -> "tuple[subprocess.CompletedProcess[str], list[str]]":
    """Run the script; returns how it ended and what it asked of others, the story's own line shortened."""
    path = f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HERE": str(clone), "TOLD": "0", "SAMPLE_SECONDS": "0.1", **variables}
    command = ["sh", "containers/compose/demo.sh", *options]
    done = subprocess.run(
        command, cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    asked = (clone / "asked").read_text().splitlines() if (clone / "asked").exists() else []
    return done, [line.partition(" ")[0] if line.startswith("told") else line for line in asked]


def test_what_it_started_it_removes_at_the_end(clone: Path) -> None:
    done, asked = demo(clone, "--exit", "--short")

    assert (done.returncode, asked) == (0, ["up", "told", "down KEEP="]), done.stderr
    assert "--exit --short" in (clone / "asked").read_text(), "the story knows too"
    report = json.loads((clone / "demo-report.json").read_text())
    assert report == {"containers_peak_mib": 1636, "complete": True}
    assert not list((clone / ".perennial").iterdir())


def test_without_exit_it_keeps_running(clone: Path) -> None:
    done, asked = demo(clone)
    assert (done.returncode, asked) == (0, ["up", "told"])
    assert "keeps running" in done.stdout


def test_a_platform_that_runs_is_used_and_left(clone: Path) -> None:
    (clone / "runs").touch()
    done, asked = demo(clone, "--exit")
    assert (done.returncode, asked) == (0, ["told"])


def test_data_that_somebody_kept_is_neither_used_nor_removed(clone: Path) -> None:
    (clone / "kept").touch()
    done, asked = demo(clone, "--exit")
    assert (done.returncode, asked) == (1, [])
    assert "is kept (perennial_postgres )" in done.stderr


def test_a_story_that_fails_is_told_by_the_exit_code_and_still_cleared_away(clone: Path) -> None:
    done, asked = demo(clone, "--exit", TOLD="1")
    assert (done.returncode, asked) == (1, ["up", "told", "down KEEP="])


def test_a_platform_that_does_not_start_is_cleared_away_too(clone: Path) -> None:
    done, asked = demo(clone, "--exit", STARTED="1")
    assert (done.returncode, asked) == (1, ["up", "down KEEP="])


def test_a_story_that_ends_before_its_report_says_so(clone: Path) -> None:
    (clone / "reported").unlink()
    done, asked = demo(clone, TOLD="3")
    assert done.returncode == 1
    assert "before it had a report" in done.stderr
    assert asked == ["up", "told"]
