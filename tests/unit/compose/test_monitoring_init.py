"""Alerts of Prometheus go to the connections that the platform's own go to; statistics are read by a user
who reads nothing else.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg2
import pytest
import requests

from embedded.ports import free_port
from tests.conftest import PROJECT
from tests.unit.gateway.postgres import postgres_url
from tests.unit.gateway.processes import until

HTTP = {"conn_type": "http", "host": "https://hooks.example.org/alerts", "login": "ann", "password": "secret"}
BEARER = {"conn_type": "http", "host": "chat.example.org", "schema": "https", "port": 8443,
          "extra": {"Authorization": "Bearer abc"}}  # fmt: skip
SLACK = {"conn_type": "slackwebhook", "password": "T0/B0/xyz"}
SENDER = {"from_email": "perennial@example.org", "to": ["a@example.org", "b@example.org"]}
MAIL = {
    "conn_type": "smtp",
    "host": "mail.example.org",
    "login": "ann",
    "password": "secret",
    "extra": SENDER,
}
LOGIN = {"basic_auth": {"username": "ann", "password": "secret"}}
TOKEN = {"authorization": {"type": "Bearer", "credentials": "abc"}}


@pytest.fixture(scope="module")
def init() -> ModuleType:
    """The script, which is a file beside docker-compose.yaml and of no package."""
    place = PROJECT / "containers" / "compose" / "monitoring_init.py"
    spec = importlib.util.spec_from_file_location("monitoring_init", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def configured(init: ModuleType, monkeypatch: pytest.MonkeyPatch, **named: dict[str, Any]) -> dict[str, Any]:
    """What becomes of these connections, which Airflow reads from its environment."""
    for name, connection in named.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    monkeypatch.setenv("PERENNIAL_ALERTS", ", ".join(named))
    told, faults = init.configuration(init.channels(), 24)
    assert faults == []
    configured: dict[str, Any] = told
    return configured


@pytest.mark.parametrize(
    ("connection", "kind", "wanted"),
    [
        (HTTP, "webhook_configs", {"url": "https://hooks.example.org/alerts", "http_config": LOGIN}),
        (BEARER, "webhook_configs", {"url": "https://chat.example.org:8443", "http_config": TOKEN}),
        (SLACK, "slack_configs", {"api_url": "https://hooks.slack.com/services/T0/B0/xyz"}),
        (MAIL, "email_configs", {"to": "a@example.org, b@example.org", "from": "perennial@example.org",
                                 "smarthost": "mail.example.org:465", "require_tls": False,
                                 "auth_username": "ann", "auth_password": "secret"}),
        ({**MAIL, "port": 587}, "email_configs", {"smarthost": "mail.example.org:587", "require_tls": True}),
        ({**HTTP, "extra": {"timeout": 3}}, "webhook_configs", {"http_config": LOGIN}),
        ({**SLACK, "password": "https://hooks.slack.com/services/T0/B0/xyz"}, "slack_configs",
         {"api_url": "https://hooks.slack.com/services/T0/B0/xyz"}),
        ({"conn_type": "pagerduty_events", "password": "key"}, "pagerduty_configs", {"routing_key": "key"}),
    ],
    ids=["webhook with a login", "webhook with a token", "Slack", "e-mail by TLS", "e-mail by STARTTLS",
         "webhook with a limit", "Slack by its whole address", "PagerDuty"],
)  # fmt: skip
def test_each_kind_of_connection_becomes_a_receiver_that_alertmanager_takes(
    init: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    connection: dict[str, Any],
    kind: str,
    wanted: dict[str, Any],
) -> None:
    told = configured(init, monkeypatch, channel=connection)
    [receiver] = told["receivers"]
    [channel] = receiver[kind]
    assert {name: channel[name] for name in wanted} == wanted
    check(told, init, tmp_path)


def test_all_channels_are_told_and_without_one_nobody_is(
    init: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = configured(init, monkeypatch, team=HTTP, chat=SLACK, boss=MAIL)
    assert set(told["receivers"][0]) == {"name", "webhook_configs", "slack_configs", "email_configs"}
    check(told, init, tmp_path)
    monkeypatch.setenv("PERENNIAL_ALERTS", " ")
    nobody, _ = init.configuration(init.channels(), 24)
    assert nobody["receivers"] == [{"name": "nobody"}]
    check(nobody, init, tmp_path)


def check(told: dict[str, Any], init: ModuleType, folder: Path) -> None:
    """Let Alertmanager's own tool look at it, where it is installed."""
    file = folder / "alertmanager.yml"
    init.write(told, file)
    assert file.stat().st_mode & 0o777 == 0o600, "it holds what the connections hold"
    if shutil.which("amtool"):
        done = subprocess.run(["amtool", "check-config", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        (
            {"conn_type": "ssh", "host": "h"},
            "of the type 'ssh'. Alerts go by http, slackwebhook, smtp, pagerduty_events.",
        ),
        ({**HTTP, "extra": {"X-Key": "k"}}, "has X-Key in its extra, which Alertmanager does not send"),
        ({**MAIL, "extra": {"to": "a@example.org"}}, "has no from_email in its extra"),
    ],
)
def test_a_connection_that_alertmanager_cannot_send_to_is_told_and_the_others_are_there(
    init: ModuleType, monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHANNEL", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(SLACK))
    told, faults = init.configuration(["channel", "no_such_one", "chat"], 24)
    [fault, not_found] = faults
    assert ("'channel'" in fault, said in fault) == (True, True), fault
    assert "'no_such_one', which Airflow does not find" in not_found
    assert set(told["receivers"][0]) == {"name", "slack_configs"}


MAKE_CONNECTION = """
from airflow import settings
from airflow.models import Connection
from airflow.models.base import Base
from airflow.utils.session import create_session
Base.metadata.create_all(settings.engine)
with create_session() as session:
    session.add(Connection(conn_id="in_pages", conn_type="slackwebhook", password="T0/B0/xyz"))
"""


def test_a_connection_that_was_made_in_airflows_pages_is_found(tmp_path: Path) -> None:
    script, file = PROJECT / "containers" / "compose" / "monitoring_init.py", tmp_path / "alertmanager.yml"
    with postgres_url() as url:
        environment = {
            **os.environ,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
            "POSTGRES_DSN": f"postgresql://test@/postgres?host={url.partition('host=')[2]}",
            "MONITORING_DATABASE_PASSWORD": "secret",
            "PERENNIAL_ALERTS": "in_pages",
            "ALERTMANAGER_FILE": str(file),
        }
        for command in (["-c", MAKE_CONNECTION], [script]):
            done = subprocess.run(
                [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
    assert "https://hooks.slack.com/services/T0/B0/xyz" in file.read_text()


@contextmanager
def webhook() -> Iterator[tuple[str, list[Any]]]:
    """A server that keeps what it is sent."""
    heard: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.headers.get("Authorization"), json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/alerts", heard
    finally:
        server.shutdown()
        server.server_close()


def test_a_real_alertmanager_tells_the_connections_webhook_once(
    init: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.skip("Alertmanager is not installed here (Debian's package prometheus-alertmanager)")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with webhook() as (address, heard):
        told = configured(init, monkeypatch, channel={**BEARER, "host": address, "port": None})
        told["route"]["group_wait"] = "1s"
        init.write(told, tmp_path / "alertmanager.yml")
        arguments = ["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *arguments, f"--web.listen-address=127.0.0.1:{port}"],
                cwd=tmp_path, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            until(lambda: requests.get(f"{url}/-/ready", timeout=10).ok, "Alertmanager")
            for severity, alert in (("page", "ModelFails"), ("ticket", "ObjectiveMissed")):
                fire(url, alertname=alert, severity=severity, model="m")
            until(lambda: heard, "the alert")
        finally:
            process.terminate()
            process.wait(60)
    [(authorization, message)] = heard
    assert authorization == "Bearer abc"
    assert [each["labels"]["alertname"] for each in message["alerts"]] == ["ModelFails"]


def fire(url: str, **labels: str) -> None:
    alert = {"labels": labels, "annotations": {"summary": "s"}, "startsAt": datetime.now(UTC).isoformat()}
    requests.post(f"{url}/api/v2/alerts", json=[alert], timeout=30).raise_for_status()


def test_statistics_are_read_by_a_user_who_reads_nothing_else(init: ModuleType) -> None:
    with postgres_url() as url:
        host = url.partition("host=")[2]
        dsn = f"postgresql://test@/postgres?host={host}"
        with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE secrets (word text)")
        init.make_role(dsn, "first")
        init.make_role(dsn, "it's another")
        with psycopg2.connect(f"postgresql://monitoring@/postgres?host={host}") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT count(*) FROM pg_stat_activity")
            assert cursor.fetchone() is not None
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute("SELECT * FROM secrets")
