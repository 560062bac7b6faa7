"""`./perennial` finds where to ask: processes, containers, or elsewhere; and says so where there is nothing.

The scripts are the real ones, in a clone of nothing else; `docker` and the environment's interpreter are
stand-ins that write down what they are asked.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.settings import PROJECT

DOCKER = r"""#!/bin/sh
case "$*" in
version* | "compose version") [ -z "${NO_ENGINE:-}" ] || exit 1 ;;
"ps --all"*owner*) [ -z "${OWNER:-}" ] || echo "owner|$OWNER|" ;;
"ps --all"*) [ -z "${CONTAINERS:-}" ] || echo "gateway 1 $CONTAINERS" ;;
compose*run*) printf 'containers' >> "$HERE/asked"; shift 5; printf ' %s' "$@" >> "$HERE/asked"; exit 7 ;;
esac
"""
PYTHON = r"""#!/bin/sh
case "$*" in
*--is-running) [ -n "${PROCESSES:-}" ]; exit ;;
esac
echo "processes $* in $PWD" >> "$HERE/asked"
exit 5
"""
RUNS = "running Up (healthy)"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that is set up, on a machine whose engine has nothing of ours."""
    made = tmp_path / "a clone"
    scripts = made / "containers" / "compose"
    scripts.mkdir(parents=True)
    shutil.copy(PROJECT / "perennial", made / "perennial")
    for name in ("common.sh", "command.sh"):
        shutil.copy(PROJECT / "containers" / "compose" / name, scripts / name)
    (made / ".env").write_text("COMPOSE_PROJECT_NAME=perennial\nCLONE_ID=mine\n")
    python = made / ".perennial" / "envs" / "ml" / "bin" / "python"
    for program, text in ((python, PYTHON), (made / "bin" / "docker", DOCKER)):
        program.parent.mkdir(parents=True)
        program.write_text(text)
        program.chmod(0o755)
    return made


def perennial(clone: Path, *words: str, **variables: str) -> "tuple[subprocess.CompletedProcess[str], str]":
    """Run it in another folder, by a link; returns how it ended and what was asked of whom."""
    link = clone / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(clone / "perennial")
    path = f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(link), *words],
        cwd=clone.parent,
        env={"PATH": path, "HERE": str(clone), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    asked = (clone / "asked").read_text() if (clone / "asked").exists() else ""
    return done, asked


def test_processes_are_asked_in_the_callers_folder_and_end_with_their_code(clone: Path) -> None:
    done, asked = perennial(clone, "why", "two words", PROCESSES="yes")
    assert (done.returncode, asked) == (5, f"processes -P -m embedded.ask why two words in {clone.parent}\n")


def test_containers_are_asked_where_those_run(clone: Path) -> None:
    done, asked = perennial(clone, "status", "--json", CONTAINERS=RUNS)
    assert done.returncode == 7
    assert asked.startswith("containers run --rm --no-deps -T -e PERENNIAL_PERSON=")
    assert asked.endswith(" command status --json")


@pytest.mark.parametrize(
    "variables",
    [
        {"NO_ENGINE": "1", "CONTAINERS": RUNS},
        {"OWNER": "another", "CONTAINERS": RUNS},
        {"CONTAINERS": "exited"},
    ],
    ids=["no engine", "another clone's", "ended ones"],
)
def test_other_containers_are_left_alone(clone: Path, variables: dict[str, str]) -> None:
    _, asked = perennial(clone, "status", **variables)
    assert asked.startswith("processes ")


def test_of_two_platforms_none_is_asked_until_one_is_named(clone: Path) -> None:
    both = {"CONTAINERS": RUNS, "PROCESSES": "yes"}
    done, asked = perennial(clone, "rollback", "reviews", **both)
    assert (done.returncode, asked) == (2, "")
    assert "PERENNIAL_ON" in done.stderr
    assert perennial(clone, "status", PERENNIAL_ON="processes", **both)[0].returncode == 5
    assert perennial(clone, "status", PERENNIAL_ON="containers", **both)[0].returncode == 7
    assert perennial(clone, "status", PERENNIAL_ON="both", **both)[0].returncode == 20


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["status", "--help"], {}),
        (["--version"], {}),
        (["check-data", "file.csv"], {}),
        (["check-drift", "--reference", "a.csv", "--current", "b.csv"], {}),
        ([], {}),
        (["status"], {"PERENNIAL_URL": "https://models.example"}),
        (["status"], {"_PERENNIAL_COMPLETE": "complete_bash"}),
    ],
    ids=["help", "version", "a file", "two files", "nothing", "elsewhere", "completion"],
)
def test_what_needs_no_platform_of_this_machine_looks_for_none(
    clone: Path, words: list[str], variables: dict[str, str]
) -> None:
    _, asked = perennial(clone, *words, CONTAINERS=RUNS, **variables)
    assert asked.startswith("processes -P -m cli")


def test_a_clone_that_is_not_set_up_says_what_to_do(clone: Path) -> None:
    shutil.rmtree(clone / ".perennial")
    done, asked = perennial(clone, "status")
    assert (done.returncode, asked) == (4, "")
    assert "make setup" in done.stderr
    assert perennial(clone, "status", CONTAINERS=RUNS)[0].returncode == 7, "containers need no set-up"


def test_no_containers_run_is_said_where_they_were_named(clone: Path) -> None:
    done, asked = perennial(clone, "status", PERENNIAL_ON="containers")
    assert (done.returncode, asked) == (4, "")
    assert "make up" in done.stderr
