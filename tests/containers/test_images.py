"""The images that `make images` built: who they run as,
what they say of themselves, and what must not be in them.
"""

import hashlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.settings import PROJECT
from tests.containers.said import said

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

NAMES = ("airflow", "ml", "mlflow", "torchserve", "inference", "gateway")
READ_ONLY: dict[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": "mode=1777"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "network_mode": "none",
    "labels": {"perennial.test": "images"},
}


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
    # uv's empty .lock says nothing to anybody but uv.
    writable = "find /opt /usr /etc /bin /lib -xdev -writable ! -type l ! -name .lock -print -quit"
    options = {key: value for key, value in READ_ONLY.items() if key != "read_only"}
    tell = f"id -u; id -g; echo ~; pwd; {writable} 2>/dev/null || true"
    told = engine.containers.run(images[name], ["sh", "-c", tell], remove=True, **options)
    assert told.decode().split() == ["10001", "0", "/home/perennial", "/opt/perennial"]


def test_airflow_starts_where_nothing_can_be_written_with_the_providers_that_it_is_said_to_have(
    engine: "DockerClient", images: dict[str, str]
) -> None:
    """The Google provider where it was asked for: `make images GOOGLE=yes`."""
    lock = (PROJECT / "containers" / "airflow" / "google.txt").read_bytes()
    label = engine.images.get(images["airflow"]).labels["perennial.lock_sha256"]
    google = ("google.cloud.hooks.gcs",) if label == hashlib.sha256(lock).hexdigest() else ()
    hooks = ("docker.hooks.docker", "cncf.kubernetes.hooks.kubernetes", *google)
    code = [f"import airflow.providers.{name}" for name in (*hooks, "docker.operators.docker")]
    code += ["import plugins.operators, git, subprocess", "subprocess.run(['git', '--version'], check=True)"]
    assert "git version" in python(engine, images["airflow"], "\n".join(code))


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


def test_the_inference_server_answers_those_alone_who_have_its_token(
    engine: "DockerClient", images: dict[str, str]
) -> None:
    container = engine.containers.run(images["inference"], detach=True, **READ_ONLY)
    try:
        until_healthy(container)
        folder = "/srv/models/inference"
        assert inside(container, f"stat -c %a {folder} {folder}/key_file.json").split() == ["700", "600"]
        ask = "import urllib.request as r; r.urlopen('http://127.0.0.1:8088/v2/models/any')"
        assert "HTTP Error 401" in inside(container, f'python -c "{ask}" 2>&1 || true')
        container.stop(timeout=20)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0
    finally:
        container.remove(force=True, v=True)


def test_mlflow_makes_its_database_and_serves(engine: "DockerClient", images: dict[str, str]) -> None:
    told = {
        "PERENNIAL_MLFLOW_DATABASE_URL": "sqlite:////tmp/mlflow.db",
        "PERENNIAL_MLFLOW_ARTIFACTS_URL": "/tmp/artifacts",
        "PERENNIAL_MLFLOW_KEY": "the-key",
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "of-the-admin",
    }
    container = engine.containers.run(images["mlflow"], detach=True, environment=told, **READ_ONLY)
    try:
        until_healthy(container)
        look = "a = requests.get('http://127.0.0.1:5000/', auth={}); print(a.status_code, a.text[:15])"
        ask = f"import requests; {look}"
        page = ask.format("('admin', 'of-the-admin')")
        assert "200 <!doctype html>" in inside(container, f'python -c "{page}"').lower()
        assert inside(container, f'python -c "{ask.format(None)}"').startswith("401")
        command = inside(container, "tr '\\0' ' ' < /proc/1/cmdline")
        assert not [secret for secret in ("mlflow.db", "the-key", "of-the-admin") if secret in command]
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
    return said(container, "sh", "-c", command)[1].decode()


def test_the_lock_of_the_working_tree_is_the_one_that_was_built(
    engine: "DockerClient", images: dict[str, str]
) -> None:
    lock = (PROJECT / "containers" / "ml" / "requirements.txt").read_bytes()
    assert engine.images.get(images["ml"]).labels["perennial.lock_sha256"] == hashlib.sha256(lock).hexdigest()
