"""Which lock an image is built from, by the real script; `docker` is a stand-in that notes its calls."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.settings import PROJECT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DOCKER = """#!/bin/sh
echo "$*" >> "$ASKED"
case "$1 $2" in "image inspect") echo 1000000 ;; esac
while [ $# -gt 1 ]; do
    [ "$1" != --iidfile ] || echo sha256:1 > "$2"
    shift
done
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """What an archive of the sources has of the images, and the stand-in."""
    shutil.copytree(PROJECT / "containers", tmp_path / "containers")
    (tmp_path / "containers" / "commit.txt").write_text(f"{COMMIT}\n")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    return tmp_path


def build(sources: Path, image: str, **variables: str) -> str:
    """What the engine is asked for an image."""
    path = f"{sources / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "ASKED": str(sources / "asked"), **variables}
    command = ["sh", "containers/compose/build.sh", image]
    subprocess.run(command, cwd=sources, env=environment, capture_output=True, check=True)
    [asked] = [line for line in (sources / "asked").read_text().splitlines() if line.startswith("build ")]
    return asked


@pytest.mark.parametrize(
    ("image", "variables", "lock"),
    [
        ("airflow", {}, "cluster.txt"),
        ("airflow", {"GOOGLE": "yes"}, "google.txt"),
        ("gateway", {"GOOGLE": "yes"}, "requirements.txt"),
    ],
)
def test_an_image_is_built_from_its_lock_and_labelled_with_its_hash(
    sources: Path, image: str, variables: dict[str, str], lock: str
) -> None:
    asked = build(sources, image, **variables)

    content = (PROJECT / "containers" / image / lock).read_bytes()
    assert f"LOCK_SHA256={hashlib.sha256(content).hexdigest()} " in asked
    assert (f" LOCK={lock} " in asked) == (image == "airflow")


@pytest.mark.parametrize("setting", ["STORE_URL=gs://our-bucket", "LOGS_URL=gs://our-bucket/logs"])
def test_a_bucket_of_google_s_brings_the_provider_unless_it_is_not_wanted(
    sources: Path, setting: str
) -> None:
    (sources / ".env").write_text(f"{setting}\n")
    assert " LOCK=google.txt " in build(sources, "airflow")
    (sources / "asked").unlink()
    assert " LOCK=cluster.txt " in build(sources, "airflow", GOOGLE="no")


def test_the_google_provider_is_in_a_lock_of_its_own() -> None:
    locks = {
        name: "apache-airflow-providers-google==" in (PROJECT / "containers" / "airflow" / name).read_text()
        for name in ("requirements.txt", "cluster.txt", "google.txt")
    }
    assert locks == {"requirements.txt": False, "cluster.txt": False, "google.txt": True}
