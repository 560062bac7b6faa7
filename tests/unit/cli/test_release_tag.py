"""The script of the GitHub workflow: which release a tag asks for, and which tags it refuses."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PROJECT

SCRIPT = PROJECT / ".github" / "release_tag.sh"


def released(tag: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it with a command that prints what it was asked."""
    command = folder / "command"
    command.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "RELEASE_COMMAND": str(command)}
    return subprocess.run([SCRIPT, tag, "ann"], env=environment, capture_output=True, text=True, check=False)


def test_a_tag_asks_for_the_version_that_it_names(tmp_path: Path) -> None:
    asked = released("review_sentiment-17", tmp_path).stdout.splitlines()

    why = "GitHub release review_sentiment-17 by ann."
    assert asked == ["release", "review_sentiment", "17", "--wait", "--why", why]


@pytest.mark.parametrize(
    ("does", "status", "told"),
    [("sleep 30", 0, "goes on, longer than GitHub lets a job wait"), ("exit 1", 1, ""), ("exit 0", 0, "")],
)
def test_a_release_that_takes_longer_than_the_job_goes_on_and_one_that_failed_fails_it(
    tmp_path: Path, does: str, status: int, told: str
) -> None:
    command = tmp_path / "command"
    command.write_text(f"#!/bin/sh\n{does}\n")
    command.chmod(0o755)
    environment = {**os.environ, "RELEASE_COMMAND": str(command), "LONGEST_WAIT": "1"}

    done = subprocess.run(
        [SCRIPT, "m-1", "ann"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == status
    assert told in done.stdout


@pytest.mark.parametrize(
    "tag", ["v1.2.3", "review_sentiment", "review_sentiment-", "m-0", "-3", "a b-3", "m-3;ls"]
)
def test_any_other_tag_is_refused_and_releases_nothing(tag: str, tmp_path: Path) -> None:
    done = released(tag, tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Tag a release name-version, such as review_sentiment-7" in done.stderr
