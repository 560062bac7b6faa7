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
from airflow.sdk.exceptions import AirflowException
from psycopg2 import sql

ROLE = "monitoring"
NOBODY = "nobody"
IMPLICIT_TLS = 465
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


def configuration(names: list[str], remind_hours: float) -> tuple[dict[str, Any], list[str]]:
    """Alertmanager's configuration, as plain data: one message an alert and model, again after a while.

    Args:
        names: The connections of the channels.
        remind_hours: After so long what is still there is told again.

    Returns:
        The configuration, and a sentence about each channel that it has to do without.
    """
    receiver: dict[str, Any] = {}
    faults = []
    for name in names:
        try:
            kind, channel = _channel(name)
            receiver.setdefault(kind, []).append(channel)
        except CannotTell as fault:
            faults.append(str(fault))
    receiver = {"name": "channels" if receiver else NOBODY} | receiver
    return _configuration(receiver, remind_hours), faults


def _configuration(receiver: dict[str, Any], remind_hours: float) -> dict[str, Any]:
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


def _channel(name: str) -> tuple[str, dict[str, Any]]:
    try:
        connection = Connection.get(name)
    except AirflowException as error:
        raise CannotTell(
            f"PERENNIAL_ALERTS names {name!r}, which Airflow does not find ({error})."
        ) from error
    makers = {"http": _webhook, "slackwebhook": _slack, "smtp": _mail, "pagerduty_events": _pagerduty}
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
    more.pop("timeout", None)  # of our own alerts; Alertmanager has its own patience
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


def _pagerduty(connection: Connection) -> tuple[str, dict[str, Any]]:
    if not connection.password:
        raise CannotTell(f"The connection {connection.conn_id!r} has no integration key as its password.")
    return "pagerduty_configs", {"routing_key": connection.password, "send_resolved": True}


def _url(connection: Connection) -> str:
    host = connection.host or ""
    base = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{base}:{connection.port}" if connection.port else base


def _slack(connection: Connection) -> tuple[str, dict[str, Any]]:
    base = connection.host or "https://hooks.slack.com/services"
    base = base if "://" in base else f"{connection.schema or 'https'}://{base}"
    token = (connection.password or "").strip()
    url = token if "://" in token else f"{base.rstrip('/')}/{token.lstrip('/')}"
    return "slack_configs", {"api_url": url, "send_resolved": True, "text": TEXT}


def _mail(connection: Connection) -> tuple[str, dict[str, Any]]:
    more = connection.extra_dejson
    missing = [name for name in ("to", "from_email") if not more.get(name)]
    if missing:
        raise CannotTell(
            f"The connection {connection.conn_id!r} has no {' and no '.join(missing)} in its extra."
        )
    to = more["to"] if isinstance(more["to"], str) else ", ".join(more["to"])
    port = connection.port or (587 if more.get("disable_ssl") else IMPLICIT_TLS)
    mail = {
        "to": to,
        "from": more["from_email"],
        "smarthost": f"{connection.host}:{port}",
        # By 465 a server speaks TLS from the beginning, and Alertmanager would then still ask for STARTTLS.
        "require_tls": port != IMPLICIT_TLS and not more.get("disable_tls", False),
        "send_resolved": True,
        "text": TEXT,
    }
    if connection.login:
        mail |= {"auth_username": connection.login, "auth_password": connection.password or ""}
    return "email_configs", mail


def channels() -> list[str]:
    """The connections that PERENNIAL_ALERTS names."""
    return [name.strip() for name in os.environ.get("PERENNIAL_ALERTS", "").split(",") if name.strip()]


def write(told: dict[str, Any], path: Path) -> None:
    """For its owner alone, for it holds what the connections hold. JSON is YAML."""
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(told, indent=2), encoding="utf-8")
    part.replace(path)


def main() -> None:
    """As docker-compose.yaml starts it. Of a channel that does not fit is told, and the others are there."""
    # Airflow gives connections of its database to its own services alone, of which this is one.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    make_role(os.environ["POSTGRES_DSN"], os.environ["MONITORING_DATABASE_PASSWORD"])
    remind_hours = float(os.environ.get("PERENNIAL_ALERTS_REMIND_HOURS") or 24)
    told, faults = configuration(channels(), remind_hours)
    write(told, Path(os.environ["ALERTMANAGER_FILE"]))
    for fault in faults:
        print(fault, "Prometheus' alerts do not go there.", file=sys.stderr)


if __name__ == "__main__":
    main()
