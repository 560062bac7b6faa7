"""Object stores of the tests: the platform's own, which speaks
S3, and Google's emulator; each a process, started once.

A test that asks for `place` gets an empty part of one, and the settings of this process point to it.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
import pytest
import requests

from embedded.ports import free_port
from tasks.settings import PROJECT, settings
from tasks.stores import database
from tasks.stores import google as google_credentials
from tests.services.conftest import until

BUCKET = "perennial"


@dataclass
class ObjectStore:
    """A server, and the variables by which its clients find it."""

    scheme: str
    port: int
    command: list[str]
    log: Path
    variables: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def healthy(self) -> bool:
        path = "/healthcheck" if self.scheme == "s3" else "/"
        return requests.get(f"{self.url}{path}", timeout=5).ok

    def start(self) -> None:
        with self.log.open("ab") as log:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(
                self.command, cwd=PROJECT, env=environment, stdout=log, stderr=log
            )
        until(lambda: self.healthy, what=f"the object store; its log is {self.log}")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)


def swift(folder: Path, port: int | None = None) -> ObjectStore:
    """The platform's own object store, with its data in `folder`."""
    port, backend = port or free_port(), free_port(in_a_row=3)
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "perennial:tests",
        "AWS_SECRET_ACCESS_KEY": "a secret-of-the-tests".replace(" ", "-"),
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",  # for tests that open a table without us
    }
    environment = {
        **variables,
        "OBJECTSTORE_FOLDER": str(folder),
        "OBJECTSTORE_HOST": "127.0.0.1",
        "OBJECTSTORE_PORT": str(port),
        "OBJECTSTORE_BACKEND_PORT": str(backend),
        "OBJECTSTORE_BUCKETS": BUCKET,
        "PYTHONPATH": str(PROJECT / "containers" / "objectstore"),
        "TMPDIR": str(folder.parent),
    }
    command = [sys.executable, "-m", "perennial_objectstore"]
    return ObjectStore("s3", port, command, folder.parent / "objectstore.log", variables, environment)


def google(log: Path, *how: str) -> ObjectStore:
    """Google's object store, emulated."""
    port = free_port()
    command = [sys.executable, "-m", "tests.services.gcs", str(port), BUCKET, *how]
    return ObjectStore("gs", port, command, log, {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"})


def _served(store: ObjectStore) -> Iterator[ObjectStore]:
    store.start()
    yield store
    store.stop()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    yield from _served(swift(tmp_path_factory.mktemp("s3") / "data"))


@pytest.fixture(scope="session")
def gs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    yield from _served(google(tmp_path_factory.mktemp("gs") / "gcs.log"))


@pytest.fixture(params=["s3", "gs"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(
    scheme: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of an empty place of an object store; the settings of this process point to it."""
    server: ObjectStore = request.getfixturevalue(scheme)
    url = f"{scheme}://{BUCKET}/{uuid.uuid4().hex[:8]}"
    point_to(server, url, tmp_path, monkeypatch)
    yield url
    forget()


def point_to(server: ObjectStore, url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    variables = {**server.variables, "PERENNIAL_STORE_URL": url, "PERENNIAL_HOME": str(home)}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    forget()


def forget() -> None:
    """Let nothing of another place be remembered: settings, database, clients of object stores."""
    settings.cache_clear()
    database.engine.cache_clear()
    google_credentials.forget()
    for protocol in ("s3", "gs"):
        fsspec.get_filesystem_class(protocol).clear_instance_cache()
