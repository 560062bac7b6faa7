"""The images that `make images` built: who they run as,
what they say of themselves, and what must not be in them.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.settings import PROJECT

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

NAMES = ("airflow", "ml", "mlflow", "torchserve", "gateway")
READ_ONLY: dict[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": "mode=1777"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "network_mode": "none",
    "labels": {"perennial.test": "images"},
}
CANARY = "canary-4b1d9c"
PIP = PROJECT / ".perennial" / "uv" / "bin" / "python"
PIPS_OWN_INDEX = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


@pytest.fixture(scope="session")
def images(engine: "DockerClient") -> dict[str, str]:
    """The ids in .perennial/images.env, by the image's name."""
    file = PROJECT / ".perennial" / "images.env"
    if not file.exists():
        pytest.skip("The images are not built: run `make images`.")
    lines = dict(line.split("=", 1) for line in file.read_text().splitlines())
    return {name: lines[f"PERENNIAL_{name.upper()}_IMAGE"] for name in NAMES}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this working tree with one commit, and a secret beside the code as `make up` leaves it."""
    folder = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().rstrip("\0").split("\0"):
        if (PROJECT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    for line in ("init", "add -A", "-c user.name=t -c user.email=t@example.com commit -m one"):
        subprocess.run(["git", *line.split()], cwd=folder, capture_output=True, check=True)
    for secret in (folder / ".env", folder / "containers" / ".env.local"):
        secret.write_text(f"PASSWORD={CANARY}")
    (folder / ".git" / "info" / "exclude").write_text(".env*\n")
    return folder


def build(folder: Path, *names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "containers/compose/build.sh", *names]
    variables = {**os.environ, "IMAGE_PREFIX": "perennial-test", **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def no_test_images(engine: "DockerClient") -> Iterator[None]:
    yield
    # By their tags: another name of the same content stays.
    for tag in [
        tag for image in engine.images.list() for tag in image.tags if tag.startswith("perennial-test/")
    ]:
        engine.images.remove(tag, force=True)


def output(engine: "DockerClient", image: str, *command: str) -> str:
    """What a program prints in the image, without a network and without a place to write but /tmp."""
    return engine.containers.run(image, list(command), remove=True, **READ_ONLY).decode().strip()


def python(engine: "DockerClient", image: str, code: str) -> str:
    return output(engine, image, "python", "-c", code)


# --- who they run as, and where they can write --------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_image_runs_as_a_user_who_may_write_to_no_code_of_it(
    engine: "DockerClient", images: dict[str, str], name: str
) -> None:
    code = "import os; from pathlib import Path; print(os.getuid(), os.getgid(), Path.home(), Path.cwd())"
    # uv's empty .lock says nothing to anybody but uv.
    writable = (
        "find /opt /usr /etc /bin /lib -xdev -writable ! -type l ! -name .lock -print -quit 2>/dev/null || "
        "true"
    )
    assert python(engine, images[name], code) == "10001 0 /home/perennial /opt/perennial"
    options = {key: value for key, value in READ_ONLY.items() if key != "read_only"}
    assert engine.containers.run(images[name], ["sh", "-c", writable], remove=True, **options) == b""


def test_every_verb_and_every_model_finds_its_libraries_in_the_image_of_the_steps(
    engine: "DockerClient", images: dict[str, str]
) -> None:
    libraries = "import duckdb, evidently, gcsfs, great_expectations, mlflow, psycopg, s3fs, sklearn, torch"
    python(
        engine,
        images["ml"],
        f"from tasks.verbs import VERBS; [verb.function() for verb in VERBS.values()]; {libraries}",
    )


@pytest.mark.parametrize(
    "lock", sorted(PROJECT.glob("models/*/requirements.txt")), ids=lambda lock: lock.parent.name
)
def test_a_model_with_requirements_has_an_environment_that_adds_to_that_of_the_steps(
    engine: "DockerClient", images: dict[str, str], lock: Path
) -> None:
    find = f"from tasks.settings import settings; print(settings().python('{lock.parent.name}'))"
    interpreter = python(engine, images["ml"], find)
    assert f"model-{lock.parent.name}" in interpreter
    own = re.match(r"[\w-]+", lock.read_text())
    assert own
    found = f"import importlib.metadata as m; assert m.version('torch'); print(m.version('{own[0]}'))"
    assert f"=={output(engine, images['ml'], interpreter, '-c', found)} " in lock.read_text()


def test_airflow_starts_where_nothing_can_be_written(engine: "DockerClient", images: dict[str, str]) -> None:
    code = (
        "from airflow.providers.docker.operators.docker import DockerOperator; import plugins.operators, "
        "git; print('ready')"
    )
    assert python(engine, images["airflow"], code).endswith("ready")
    assert output(engine, images["airflow"], "git", "--version").startswith("git version")


# --- what they say of themselves ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_image_names_its_commit_and_its_lock(
    engine: "DockerClient", images: dict[str, str], name: str
) -> None:
    image = engine.images.get(images[name])
    variables = dict(line.split("=", 1) for line in image.attrs["Config"]["Env"])
    assert re.fullmatch(r"[0-9a-f]{40}(\+dirty)?", image.labels["org.opencontainers.image.revision"])
    assert variables["PERENNIAL_CODE_COMMIT"] == image.labels["org.opencontainers.image.revision"]
    assert re.fullmatch(r"[0-9a-f]{64}", image.labels["perennial.lock_sha256"])


def test_the_step_image_tells_its_lineage_as_its_labels_do(
    engine: "DockerClient", images: dict[str, str]
) -> None:
    labels = engine.images.get(images["ml"]).labels
    code = (
        "import pathlib; from tasks.runtime.code_version import *; p = pathlib.Path(); print(code_commit(p), "
        "lock_sha256(p, p / 'no'))"
    )
    commit, lock = python(engine, images["ml"], code).split()
    assert (commit, lock) == (labels["org.opencontainers.image.revision"], labels["perennial.lock_sha256"])


# --- what must not be in them -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_no_image_tells_how_to_log_in_anywhere(
    engine: "DockerClient", images: dict[str, str], name: str
) -> None:
    image = engine.images.get(images[name])
    told = json.dumps([image.history(), image.attrs["Config"]])
    assert not re.search(
        r"://[^/\s\"]+:[^/\s\"]+@|AKIA[0-9A-Z]{16}|PRIVATE KEY|(?i:password|secret|_token|index_url)=", told
    )
    names = [
        "-name",
        ".env*",
        "-o",
        "-name",
        ".netrc",
        "-o",
        "-name",
        "pip.conf",
        "-o",
        "-name",
        "id_*",
        "-o",
        "-name",
        ".git",
    ]
    search = [
        "find",
        "/opt/perennial",
        "/home",
        "/root",
        "/etc",
        "/srv",
        "-path",
        "*/site-packages",
        "-prune",
        "-o",
    ]
    found = engine.containers.run(
        images[name],
        [*search, "(", *names, ")", "-print"],
        remove=True,
        user="0:0",
        network_mode="none",
        entrypoint="",
    )
    assert found == b""


def test_neither_the_address_of_an_index_nor_a_file_beside_the_code_gets_into_a_layer(
    engine: "DockerClient", clone: Path, no_test_images: None
) -> None:
    index = (
        os.environ.get("PIP_INDEX_URL")
        or subprocess.check_output([PIP, "-c", PIPS_OWN_INDEX], text=True).strip()
    )
    scheme, _, rest = index.partition("://")
    told = build(
        clone,
        "gateway",
        PIP_INDEX_URL=f"{scheme}://user:{CANARY}@{rest.rpartition('@')[2]}",
        UV_DEFAULT_INDEX="",
    )
    if told.returncode:
        pytest.skip(f"This index takes no other login: {told.stderr[-500:]}")
    saved = BytesIO(b"".join(engine.images.get("perennial-test/gateway").save()))
    with tarfile.open(fileobj=saved) as image:
        members = [member for member in image.getmembers() if member.isfile()]
        layers = [image.extractfile(member) for member in members]
        assert len(layers) > 5
        assert [
            member.name
            for member, layer in zip(members, layers, strict=True)
            if layer and CANARY.encode() in layer.read()
        ] == []


# --- how they are built -------------------------------------------------------------------------------------


def test_a_change_of_code_builds_only_the_last_layers_again(
    engine: "DockerClient", images: dict[str, str], clone: Path, no_test_images: None
) -> None:
    began = time.monotonic()
    (clone / "tasks" / "gate.py").open("a").write("\n# changed\n")
    told = build(clone, "ml", "gateway")
    assert told.returncode == 0, told.stderr
    before, after = (engine.images.get(name) for name in (images["ml"], "perennial-test/ml"))
    kept, rebuilt = (image.attrs["RootFS"]["Layers"] for image in (before, after))
    assert rebuilt[:-1] == kept[:-1]
    assert rebuilt[-1] != kept[-1]
    assert time.monotonic() - began < 120
    assert after.labels["org.opencontainers.image.revision"].endswith("+dirty")
    assert f"PERENNIAL_ML_IMAGE={after.id}" in (clone / ".perennial" / "images.env").read_text()


def test_images_of_an_archive_without_git_know_their_commit(
    engine: "DockerClient", clone: Path, no_test_images: None
) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout.strip()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=clone, capture_output=True, check=True).stdout
    unpacked = clone.parent / "unpacked"
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(unpacked, filter="data")
    told = build(unpacked, "gateway")
    assert told.returncode == 0, told.stderr
    assert engine.images.get("perennial-test/gateway").labels["org.opencontainers.image.revision"] == commit


def test_a_folder_without_git_and_without_a_commit_is_refused(engine: "DockerClient", clone: Path) -> None:
    shutil.rmtree(clone / ".git")
    told = build(clone, "gateway")
    assert told.returncode == 1
    assert "must say what code they hold" in told.stderr


def test_without_an_engine_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    if not shutil.which("docker"):
        pytest.skip("There is no docker program.")
    told = build(PROJECT, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert told.returncode == 1
    assert "No Docker engine answers" in told.stderr
    assert "Start it" in told.stderr


def test_a_wheelhouse_without_torch_is_refused_before_anything_is_built(
    engine: "DockerClient", tmp_path: Path
) -> None:
    told = build(PROJECT, "ml", WHEELS=str(tmp_path))
    assert told.returncode == 1
    assert "holds no torch-*.whl" in told.stderr


# --- the services start as they are meant to ----------------------------------------------------------------


def test_torchserve_answers_those_alone_who_have_its_token(
    engine: "DockerClient", images: dict[str, str]
) -> None:
    container = engine.containers.run(images["torchserve"], detach=True, **READ_ONLY)
    try:
        until_healthy(container)
        assert inside(container, "stat -c %a /srv/models /srv/models/key_file.json").split() == ["700", "600"]
        ask = "import urllib.request as r; r.urlopen('http://127.0.0.1:8086/models')"
        assert "HTTP Error 400" in inside(container, f'python -c "{ask}" 2>&1 || true')
        container.stop(timeout=20)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 143
    finally:
        container.remove(force=True, v=True)


def test_mlflow_makes_its_database_and_serves(engine: "DockerClient", images: dict[str, str]) -> None:
    stores = {
        "PERENNIAL_MLFLOW_DATABASE_URL": "sqlite:////tmp/mlflow.db",
        "PERENNIAL_MLFLOW_ARTIFACTS_URL": "/tmp/artifacts",
    }
    container = engine.containers.run(images["mlflow"], detach=True, environment=stores, **READ_ONLY)
    try:
        until_healthy(container)
        ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:5000/').read(15))"
        assert "<!doctype html>" in inside(container, f'python -c "{ask}"').lower()
        assert "mlflow.db" not in inside(container, "tr '\\0' ' ' < /proc/1/cmdline")
    finally:
        container.remove(force=True, v=True)


@pytest.mark.parametrize("name", ["mlflow", "gateway"])
def test_a_service_without_its_settings_ends_with_a_sentence(
    engine: "DockerClient", images: dict[str, str], name: str
) -> None:
    container = engine.containers.run(images[name], detach=True, **READ_ONLY)
    try:
        assert container.wait(timeout=60)["StatusCode"] == 1
        told = container.logs().decode()
        assert f"PERENNIAL_{name.upper()}_DATABASE_URL" in told
        assert "Traceback" not in told
    finally:
        container.remove(force=True, v=True)


def until_healthy(container: "Container") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        container.reload()
        state = container.attrs["State"]
        if state.get("Health", {}).get("Status") == "healthy":
            return
        assert state["Running"], container.logs().decode()[-2000:]
        time.sleep(0.5)
    pytest.fail(f"not healthy: {state['Health']}; it said {container.logs().decode()[-2000:]}")


def inside(container: "Container", command: str) -> str:
    return str(container.exec_run(["sh", "-c", command]).output.decode())


def test_the_lock_of_the_working_tree_is_the_one_that_was_built(
    engine: "DockerClient", images: dict[str, str]
) -> None:
    lock = (PROJECT / "containers" / "ml" / "requirements.txt").read_bytes()
    assert engine.images.get(images["ml"]).labels["perennial.lock_sha256"] == hashlib.sha256(lock).hexdigest()
