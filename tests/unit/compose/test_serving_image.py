"""A serving image gets its name only after its container has answered as it was judged.

The script is the real one; `docker` and `./perennial` are stand-ins that write down what they are asked.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.settings import PROJECT

DOCKER = """#!/bin/sh
echo "$*" >> "$ASKED"
case "$*" in
build*)
    while [ "$1" != --iidfile ]; do shift; done
    printf sha256:111 > "$2"
    for folder; do :; done
    (cd "$folder" && find . -type f | sort) > "$ASKED.files"
    [ -z "$BROKEN" ] || { echo "no space left on device"; exit 1; }
    ;;
run*) echo c0ffee ;;
exec*) [ -z "$WRONG" ] || { echo "score is 0.1 instead of 0.9" >&2; exit 1; } ;;
push*) [ -z "$DENIED" ] || { echo "denied: requested access" >&2; exit 1; } ;;
"image inspect"*) echo registry.example.org/team/m@sha256:bbb ;;
esac
"""

PERENNIAL = """#!/bin/sh
[ -z "$REFUSED" ] || { echo "GateRefused: it was not promoted" >&2; exit 10; }
case "$*" in *--accept*|*--pushed*) exit ;; esac
tar -c -f - -C model .
"""

VERSION = """{
  "archive_sha256": "abc",
  "example": {
    "run_id": "of the example"
  },
  "promoted_by": "def",
  "run_id": "r1"
}
"""

FILES = [
    *("containers/compose/image.sh", "containers/compose/common.sh", "containers/serving/serve.py"),
    *("containers/serving/accept.py", "containers/serving/model.Dockerfile", "tasks/release/differences.py"),
    "containers/serving/relay.py",
]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose image of the inference server is built, and a version that was promoted."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    for path, text in (("bin/docker", DOCKER), ("perennial", PERENNIAL)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)
    (tmp_path / "model" / "store").mkdir(parents=True)
    (tmp_path / "model" / "store" / "m-3.mar").write_text("an archive")
    (tmp_path / "model" / "version.json").write_text(VERSION)
    (tmp_path / ".perennial").mkdir()
    (tmp_path / ".perennial" / "images.env").write_text("PERENNIAL_INFERENCE_IMAGE=sha256:999\n")
    return tmp_path


def make(clone: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "ASKED": str(clone / "asked"),
        "TMPDIR": str(clone),
        **dict.fromkeys(("WRONG", "DENIED", "REFUSED", "BROKEN"), ""),
        **variables,
    }
    command = ["sh", "containers/compose/image.sh"]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def asked(clone: Path) -> list[str]:
    return (clone / "asked").read_text().splitlines() if (clone / "asked").exists() else []


def test_the_image_holds_the_archive_and_is_named_after_it_was_accepted(clone: Path) -> None:
    done = make(clone, MODEL="m", VERSION="3")

    assert done.returncode == 0, done.stderr
    words = [line.split()[0] for line in asked(clone)]
    assert words.index("run") < words.index("exec") < words.index("tag")
    assert "push" not in words
    assert "tag sha256:111 m:3" in asked(clone)
    [build] = [line for line in asked(clone) if line.startswith("build ")]
    for argument in ("SERVER=sha256:999", "RUN_ID=r1", "ARCHIVE_SHA256=abc", "PROMOTED_BY=def"):
        assert f"--build-arg {argument} " in build
    held = (clone / "asked.files").read_text().split()
    assert {"./model/store/m-3.mar", "./code/serve.py", "./code/differences.py"} <= set(held)


def test_a_container_that_answers_otherwise_gets_no_name_and_is_not_pushed(clone: Path) -> None:
    done = make(clone, MODEL="m", VERSION="3", REGISTRY="registry.example.org/team", WRONG="yes")

    assert done.returncode == 1
    assert "not accepted" in done.stderr
    words = [line.split()[0] for line in asked(clone)]
    assert not {"tag", "push"} & set(words)
    assert "rm --force --volumes c0ffee" in asked(clone)
    assert "image rm --force sha256:111" in asked(clone)


def test_the_container_that_is_tried_reaches_nobody_and_writes_nowhere(clone: Path) -> None:
    make(clone, MODEL="m", VERSION="3")
    [run] = [line for line in asked(clone) if line.startswith("run ")]
    assert {"--read-only", "--network", "none", "--cap-drop", "ALL"} <= set(run.split())
    assert "rm --force --volumes c0ffee" in asked(clone)


def test_where_a_registry_is_named_the_digest_there_is_told(clone: Path) -> None:
    done = make(clone, MODEL="m", VERSION="3", REGISTRY="registry.example.org/team")
    assert done.stdout.splitlines()[-1] == "registry.example.org/team/m@sha256:bbb"
    assert "push --quiet registry.example.org/team/m:3" in asked(clone)
    denied = make(clone, MODEL="m", VERSION="3", REGISTRY="registry.example.org/team", DENIED="yes")
    assert denied.returncode != 0
    assert "@sha256" not in denied.stdout


def test_a_version_that_the_gate_did_not_promote_gets_no_image(clone: Path) -> None:
    done = make(clone, MODEL="m", VERSION="3", REFUSED="yes")
    assert done.returncode == 10
    assert "GateRefused" in done.stderr
    assert not [line for line in asked(clone) if line.startswith("build ")]


def test_a_build_that_fails_says_what_docker_said_and_names_nothing(clone: Path) -> None:
    done = make(clone, MODEL="m", VERSION="3", BROKEN="yes")
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert [line.split()[0] for line in asked(clone)][-1] == "build"
    assert not list(clone.glob("tmp.*")), "nothing of it is left"


@pytest.mark.parametrize(
    ("model", "version", "says"),
    [
        ("", "3", "make image MODEL="),
        ("m", "", "make image MODEL="),
        ("m; rm -rf /", "3", "make image MODEL="),
        ("m", "latest", "make image MODEL="),
        ("a___b", "3", "Docker takes no name"),
        ("m_", "3", "Docker takes no name"),
    ],
)
def test_what_names_no_version_is_refused_before_anything_is_asked(
    clone: Path, model: str, version: str, says: str
) -> None:
    done = make(clone, MODEL=model, VERSION=version)
    assert done.returncode == 1
    assert says in done.stderr
    assert asked(clone) == []


def test_without_the_inference_servers_image_it_says_how_to_build_it(clone: Path) -> None:
    (clone / ".perennial" / "images.env").write_text("PERENNIAL_ML_IMAGE=sha256:222\n")
    assert "make images IMAGES=inference" in make(clone, MODEL="m", VERSION="3").stderr
