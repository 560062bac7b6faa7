"""Images leave the machine by their digests, and only those that a commit can be named for.

The script is the real one; `docker` is a stand-in that writes down what it is asked, since there is no
registry here.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tasks.settings import PROJECT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DOCKER = """#!/bin/sh
echo "$*" >> "$ASKED"
case $1 in
push) [ -z "$BROKEN" ] || { echo "denied: requested access to the resource is denied" >&2; exit 1; } ;;
image)
    echo elsewhere.example.org/perennial-ml@sha256:aaa
    echo registry.example.org/team/perennial-ml@sha256:bbb
    echo registry.example.org/team/perennial-airflow@sha256:ccc
    ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which `make images` was run, and nothing else of ours."""
    script = tmp_path / "containers" / "compose" / "push.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(PROJECT / "containers" / "compose" / "push.sh", script)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    built(tmp_path, COMMIT)
    return tmp_path


def built(clone: Path, commit: str) -> None:
    ids = (
        f"PERENNIAL_CODE_COMMIT={commit}\nPERENNIAL_AIRFLOW_IMAGE=sha256:111\nPERENNIAL_ML_IMAGE=sha256:222\n"
    )
    (clone / ".perennial").mkdir(exist_ok=True)
    (clone / ".perennial" / "images.env").write_text(ids)


def push(clone: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    path = f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "ASKED": str(clone / "asked"), "BROKEN": "", **variables}
    command = ["sh", "containers/compose/push.sh", *arguments]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def test_each_image_is_pushed_by_its_commit_and_printed_by_its_digest(clone: Path) -> None:
    done = push(clone, "registry.example.org/team")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"PERENNIAL_CODE_COMMIT={COMMIT}",
        "PERENNIAL_AIRFLOW_IMAGE=registry.example.org/team/perennial-airflow@sha256:ccc",
        "PERENNIAL_ML_IMAGE=registry.example.org/team/perennial-ml@sha256:bbb",
    ]
    asked = (clone / "asked").read_text().splitlines()
    assert f"tag sha256:222 registry.example.org/team/perennial-ml:{COMMIT}" in asked
    assert f"push --quiet registry.example.org/team/perennial-ml:{COMMIT}" in asked


@pytest.mark.parametrize(("commit", "says"), [(f"{COMMIT}+dirty", "files differed"), ("", "outside Git")])
def test_images_that_no_commit_can_be_named_for_stay_here(clone: Path, commit: str, says: str) -> None:
    built(clone, commit)
    done = push(clone, "registry.example.org/team")
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert not (clone / "asked").exists()


def test_a_push_that_is_denied_ends_with_an_error_and_prints_no_digest(clone: Path) -> None:
    done = push(clone, "registry.example.org/team", BROKEN="yes")
    assert done.returncode != 0
    assert "denied" in done.stderr
    assert "sha256" not in done.stdout


def test_without_a_registry_or_images_it_says_what_to_do(clone: Path) -> None:
    assert "make push-images REGISTRY=" in push(clone).stderr
    (clone / ".perennial" / "images.env").unlink()
    assert "make images first" in push(clone, "registry.example.org/team").stderr


def test_the_workflow_builds_by_make_and_names_no_registry_of_anybody() -> None:
    text = (PROJECT / ".github" / "workflows" / "images.yml").read_text()
    workflow = yaml.safe_load(text)
    [job] = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    targets = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(commands)))
    assert targets == {"images", "push-images"}
    assert targets <= set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert "REGISTRY" in job["if"], "without a registry nothing runs"
    assert job["env"]["REGISTRY"] == "${{ vars.REGISTRY }}"
    for command in commands:
        assert "${{" not in command, "what a name holds must not become a command"
    assert all("secrets." not in str(step.get("run", "")) for step in job["steps"])
    assert workflow["permissions"] == {"contents": "read"}
