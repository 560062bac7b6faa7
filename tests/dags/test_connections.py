"""What Airflow's connections say of the engine and of the object stores."""

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.runners.connections import Address, engine, store_variables
from tasks.errors import InvalidProject
from tasks.settings import settings


def connect(monkeypatch: pytest.MonkeyPatch, name: str, **fields: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))


def store_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PERENNIAL_STORE_URL", url)
    settings.cache_clear()


FILES = {"ca_cert": "/tls/ca.pem", "client_cert": "/tls/cert.pem", "client_key": "/tls/key.pem"}


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"host": "engine", "port": 2375}, Address("tcp://engine:2375")),
        ({"host": "engine"}, Address("tcp://engine:2375")),
        ({"host": "tcp://engine:2375"}, Address("tcp://engine:2375")),
        ({"host": "ssh://me@box"}, Address("ssh://me@box")),
        ({"host": "unix:///run/podman.sock"}, Address("unix:///run/podman.sock")),
        ({"host": "box", "extra": FILES}, Address("tcp://box:2376", **FILES)),
        ({"host": "tcp://box", "port": 9999, "extra": FILES}, Address("tcp://box:9999", **FILES)),
    ],
)
def test_the_engine_is_where_its_connection_says(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], address: Address
) -> None:
    connect(monkeypatch, "docker_default", conn_type="docker", **fields)
    assert engine() == address


def test_without_a_connection_it_is_docker_host_s_or_this_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert engine().url == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    assert engine().url == "tcp://elsewhere:1"


def test_half_of_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "docker_default", conn_type="docker", host="box", extra={"ca_cert": "/tls/ca.pem"})
    with pytest.raises(InvalidProject, match="TLS needs all of"):
        engine()


def test_tls_reaches_the_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    from plugins.runners.docker.runner import engine_hook

    files = {name: str(tmp_path / f"{name}.pem") for name in FILES}
    for file in files.values():
        Path(file).write_text("")
    hook = engine_hook(Address("tcp://box:2376", **files))
    assert hook._DockerHook__base_url == ["https://box:2376"]
    assert hook._DockerHook__tls.cert == (files["client_cert"], files["client_key"])


def test_the_store_s_connection_becomes_the_variables_that_its_clients_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"endpoint_url": "http://objectstore:9000", "region_name": "eu-central-1"}
    connect(monkeypatch, "aws_default", conn_type="aws", login="key", password="secret", extra=extra)
    store_at(monkeypatch, "s3://bucket")
    assert store_variables() == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": "http://objectstore:9000",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ALLOW_HTTP": "true",
    }


def test_a_store_in_a_folder_asks_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "aws_default", conn_type="aws", login="key", password="secret")
    assert store_variables() == {}


def test_without_a_connection_the_environment_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_at(monkeypatch, "s3://bucket")
    assert store_variables() == {}
