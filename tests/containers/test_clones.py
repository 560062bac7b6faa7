"""Two clones on one engine: neither reports, starts, stops, copies or removes what is the other's.

The platforms are stand-ins of one container and one volume, labelled as Compose does it; the scripts and the
engine are real.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedded.ports import free_port
from tests.conftest import PROJECT

if TYPE_CHECKING:
    from docker import DockerClient

IMAGE = "nginx:1.28-bookworm"


@dataclass(frozen=True)
class Clone:
    """The scripts of a clone, in a folder of its own."""

    folder: Path

    def run(self, script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """One of the scripts behind `make`; what it said is in stdout."""
        return subprocess.run(
            ["sh", f"containers/compose/{script}.sh"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MAKE": "false", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def set(self, **settings: str) -> None:
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def setting(self, name: str) -> str:
        lines = (self.folder / ".env").read_text().splitlines()
        return next(line.partition("=")[2] for line in reversed(lines) if line.startswith(f"{name}="))


@pytest.fixture
def clones(engine: "DockerClient", tmp_path: Path) -> Iterator[tuple[Clone, Clone]]:
    """Two clones; the first has a platform, of which a service and its volume are there."""
    if not engine.images.list(IMAGE):
        pytest.skip(f"{IMAGE} is not here: sh containers/airgap/bases.sh")
    pair = Clone(tmp_path / "one"), Clone(tmp_path / "two")
    for clone in pair:
        shutil.copytree(PROJECT / "containers" / "compose", clone.folder / "containers" / "compose")
        shutil.copy(PROJECT / "docker-compose.yaml", clone.folder)
    first = pair[0]
    assert first.run("secrets").returncode == 0
    project, labels = first.setting("COMPOSE_PROJECT_NAME"), {"perennial.clone": first.setting("CLONE_ID")}
    labels["com.docker.compose.project"] = project
    engine.volumes.create(f"{project}_postgres", labels=labels)
    more = {"com.docker.compose.service": "postgres", "com.docker.compose.oneoff": "False"}
    more["com.docker.compose.project.working_dir"] = str(first.folder)
    engine.containers.run(
        IMAGE,
        ["sleep", "600"],
        name=f"{project}_postgres_1",
        labels=labels | more,
        detach=True,
        ports={"80/tcp": ("127.0.0.1", None)},
        stop_signal="SIGKILL",
    )
    yield pair
    for left in engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={project}"}):
        left.remove(force=True, v=True)
    for kept in engine.volumes.list(filters={"label": f"com.docker.compose.project={project}"}):
        kept.remove(force=True)


def there(engine: "DockerClient", clone: Clone) -> tuple[int, int]:
    """How many running containers and volumes of a clone's platform there are."""
    label = {"label": f"com.docker.compose.project={clone.setting('COMPOSE_PROJECT_NAME')}"}
    return len(engine.containers.list(filters=label)), len(engine.volumes.list(filters=label))


def test_each_clone_has_a_platform_of_its_own_name_and_sees_no_other(
    engine: "DockerClient", clones: tuple[Clone, Clone]
) -> None:
    one, two = clones
    assert "postgres" in one.run("status").stdout
    status, down = two.run("status"), two.run("down")
    assert (status.returncode, status.stdout) == (3, "")
    assert down.returncode == 0
    assert down.stdout.startswith("Nothing of the platform perennial-")
    assert two.run("secrets").returncode == 0
    assert two.setting("COMPOSE_PROJECT_NAME") != one.setting("COMPOSE_PROJECT_NAME")
    assert there(engine, one) == (1, 1)


def same_name(one: Clone, two: Clone) -> str:
    two.set(COMPOSE_PROJECT_NAME=one.setting("COMPOSE_PROJECT_NAME"))
    return f"belongs to another clone, {one.folder}. Go there, or give this one another name"


def copied(one: Clone, two: Clone) -> str:
    shutil.copy(one.folder / ".env", two.folder)
    return f"belongs to the platform of another clone, {one.folder}; it was copied."


def only_the_volume_is_left(one: Clone, two: Clone) -> str:
    assert one.run("down", KEEP="1").returncode == 0
    two.set(COMPOSE_PROJECT_NAME=one.setting("COMPOSE_PROJECT_NAME"))
    return f"belongs to another clone, {one.setting('CLONE_ID')}. Go there"


@pytest.mark.parametrize("meet", [same_name, copied, only_the_volume_is_left])
def test_a_clone_that_is_told_the_others_name_does_not_touch_its_platform(
    engine: "DockerClient", clones: tuple[Clone, Clone], meet: Callable[[Clone, Clone], str]
) -> None:
    one, two = clones
    said = meet(one, two)
    before = there(engine, one)
    assert two.run("status").returncode == 3
    for script in ("up", "down", "backup", "demo"):
        done = two.run(script)
        assert done.returncode == 1, done.stdout
        assert said in done.stdout
    assert there(engine, one) == before


def test_a_clone_that_was_moved_keeps_its_platform(
    engine: "DockerClient", clones: tuple[Clone, Clone]
) -> None:
    moved = Clone(clones[0].folder.rename(clones[0].folder.with_name("moved")))
    assert "postgres" in moved.run("status").stdout
    assert moved.run("secrets").returncode == 0
    assert moved.setting("CLONE_FOLDER") == str(moved.folder)
    assert moved.run("down").returncode == 0
    assert there(engine, moved) == (0, 0)


def test_a_port_of_the_other_clone_is_named_with_who_has_it_and_the_setting_that_changes_it(
    engine: "DockerClient", clones: tuple[Clone, Clone]
) -> None:
    one, two = clones
    name = f"{one.setting('COMPOSE_PROJECT_NAME')}_postgres_1"
    port = engine.containers.get(name).ports["80/tcp"][0]["HostPort"]
    two.set(HTTPS_PORT=port)
    up = two.run("up")
    assert up.returncode == 1
    holder = f"the container {name} of the platform of the clone {one.folder}"
    assert f"Port {port} of 127.0.0.1 is taken by {holder}. Stop that, or set another" in up.stdout
    assert "port: HTTPS_PORT in .env" in up.stdout


def test_a_port_of_another_program_is_named(clones: tuple[Clone, Clone]) -> None:
    two = clones[1]
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        two.set(HTTPS_PORT=str(free_port()), HTTP_PORT=str(port))
        up = two.run("up")
    assert up.returncode == 1
    assert f"Port {port} of 127.0.0.1 is taken by another program." in up.stdout
    assert "another port: HTTP_PORT in" in up.stdout
