"""Prepare what the profile `monitoring` stands on: who reads PostgreSQL's statistics, and whom alerts go to.

Prometheus' alerts go where the platform's own go, to the connections that PERENNIAL_ALERTS names: they are
read as Airflow reads them, from the environment or its pages, and become Alertmanager's receivers. Runs
before every start and may run again at any time.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import psycopg2
from airflow.sdk import Connection
from psycopg2 import sql

ROLE = "monitoring"
NOBODY = "nobody"
TEXT = (
    "{{ range .Alerts }}{{ .Status }}: {{ .Annotations.summary }}\n{{ .Annotations.description }}\n"
    "docs/monitoring.md says what to do ({{ .Labels.alertname }}).\n{{ end }}"
)


class CannotTell(Exception):
    """A connection of PERENNIAL_ALERTS that Alertmanager cannot send to; says what to change."""


def make_role(dsn: str, password: str) -> None:
    """A user of PostgreSQL's that may read its statistics and no table."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        change = sql.SQL("ALTER ROLE {} PASSWORD {}")
        cursor.execute(change.format(sql.Identifier(ROLE), sql.Literal(password)))
        cursor.execute(sql.SQL("GRANT pg_monitor TO {}").format(sql.Identifier(ROLE)))


def configuration(connections: list[Connection], remind_hours: float) -> dict[str, Any]:
    """Alertmanager's configuration, as plain data: one message an alert and model, again after a while."""
    receiver: dict[str, Any] = {"name": "channels" if connections else NOBODY}
    for connection in connections:
        kind, channel = _channel(connection)
        receiver.setdefault(kind, []).append(channel)
    return {
        "global": {"resolve_timeout": "5m"},
        "route": {
            "receiver": receiver["name"],
            "group_by": ["alertname", "model"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": f"{max(1, round(remind_hours * 60))}m",
        },
        # What is down is told once: not also that its numbers are missing.
        "inhibit_rules": [
            {
                "source_matchers": ["alertname=ServiceDown", "job=airflow"],
                "target_matchers": ["alertname=~Airflow.*|LoopStopped"],
            },
            {
                "source_matchers": ["severity=page"],
                "target_matchers": ["severity=ticket", "model!="],
                "equal": ["model"],
            },
        ],
        "receivers": [receiver],
    }


def _channel(connection: Connection) -> tuple[str, dict[str, Any]]:
    makers = {"http": _webhook, "slackwebhook": _slack, "smtp": _mail}
    make = makers.get(connection.conn_type or "")
    if make is None:
        raise CannotTell(
            f"PERENNIAL_ALERTS names the connection {connection.conn_id!r} of the type "
            f"{connection.conn_type!r}. Alerts go by {', '.join(makers)}."
        )
    return make(connection)


def _webhook(connection: Connection) -> tuple[str, dict[str, Any]]:
    url, more = _url(connection), dict(connection.extra_dejson)
    how: dict[str, Any] = {}
    if connection.login:
        how["basic_auth"] = {"username": connection.login, "password": connection.password or ""}
    if authorization := more.pop("Authorization", None):
        kind, _, credentials = authorization.partition(" ")
        how["authorization"] = {"type": kind, "credentials": credentials}
    if more:
        raise CannotTell(
            f"The connection {connection.conn_id!r} has {', '.join(sorted(more))} in its extra, which "
            "Alertmanager does not send. It sends a login with its password, or the header Authorization."
        )
    return "webhook_configs", {"url": url, **({"http_config": how} if how else {})}


def _url(connection: Connection) -> str:
    host = connection.host or ""
    base = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{base}:{connection.port}" if connection.port else base


def _slack(connection: Connection) -> tuple[str, dict[str, Any]]:
    base = connection.host or "https://hooks.slack.com/services"
    base = base if "://" in base else f"{connection.schema or 'https'}://{base}"
    url = f"{base.rstrip('/')}/{(connection.password or '').lstrip('/')}"
    return "slack_configs", {"api_url": url, "send_resolved": True, "text": TEXT}


def _mail(connection: Connection) -> tuple[str, dict[str, Any]]:
    more = connection.extra_dejson
    missing = [name for name in ("to", "from_email") if not more.get(name)]
    if missing:
        raise CannotTell(
            f"The connection {connection.conn_id!r} has no {' and no '.join(missing)} in its extra."
        )
    to = more["to"] if isinstance(more["to"], str) else ", ".join(more["to"])
    port = connection.port or (587 if more.get("disable_ssl") else 465)
    mail = {
        "to": to,
        "from": more["from_email"],
        "smarthost": f"{connection.host}:{port}",
        "require_tls": not more.get("disable_tls", False),
        "send_resolved": True,
        "text": TEXT,
    }
    if connection.login:
        mail |= {"auth_username": connection.login, "auth_password": connection.password or ""}
    return "email_configs", mail


def connections() -> list[Connection]:
    """The connections that PERENNIAL_ALERTS names."""
    names = [name.strip() for name in os.environ.get("PERENNIAL_ALERTS", "").split(",") if name.strip()]
    return [Connection.get(name) for name in names]


def write(told: dict[str, Any], path: Path) -> None:
    """For its owner alone, for it holds what the connections hold. JSON is YAML."""
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(told, indent=2), encoding="utf-8")
    part.replace(path)


def main() -> None:
    """As docker-compose.yaml starts it."""
    make_role(os.environ["POSTGRES_DSN"], os.environ["MONITORING_DATABASE_PASSWORD"])
    remind_hours = float(os.environ.get("PERENNIAL_ALERTS_REMIND_HOURS") or 24)
    try:
        write(configuration(connections(), remind_hours), Path(os.environ["ALERTMANAGER_FILE"]))
    except CannotTell as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
