"""What Airflow's connections say of the engine and of the object
stores; a connection that is set wins over the environment.
"""

import json
import os
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.stores.files import at

ENGINE = "docker_default"
PORT, TLS_PORT = 2375, 2376


@dataclass(frozen=True)
class Address:
    """Where the engine answers; the paths of certificate files where it wants TLS."""

    url: str
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


def engine(connection: str = ENGINE) -> Address:
    """The engine of the connection, else of DOCKER_HOST, else of this machine.

    The connection's host is a name with the port beside it, or a whole URL (`tcp://`, `ssh://user@host`,
    `unix:///path`); its extra may hold `ca_cert`, `client_cert` and `client_key`, paths of PEM files.

    Raises:
        InvalidProject: Only some of the three files are given.
    """
    found = _connection(connection)
    if found is None or not found.host:
        return Address(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    names = ("ca_cert", "client_cert", "client_key")
    files = {name: value for name, value in found.extra_dejson.items() if name in names and value}
    if files and len(files) < len(names):
        raise InvalidProject(
            f"The connection {connection!r} names {sorted(files)}. TLS needs all of {list(names)}: correct "
            "its extra."
        )
    port = found.port or (TLS_PORT if files else PORT)
    whole = "://" in found.host
    url = (
        f"{found.host}:{found.port}"
        if whole and found.port
        else found.host
        if whole
        else f"tcp://{found.host}:{port}"
    )
    return Address(url, **files)


def store_variables() -> dict[str, str]:
    """The variables that the clients of object stores read, from
    Airflow's connection of the store's cloud where it is set.
    """
    protocol = at(settings().runs).protocol
    if protocol in {"s3", "s3a"}:
        return _aws(_connection("aws_default"))
    if protocol in {"gs", "gcs"}:
        return _google(_connection("google_cloud_default"))
    return {}


def _aws(found: Any) -> dict[str, str]:
    if found is None:
        return {}
    extra = found.extra_dejson
    endpoint = extra.get("endpoint_url")
    variables = {
        "AWS_ACCESS_KEY_ID": found.login,
        "AWS_SECRET_ACCESS_KEY": found.password,
        "AWS_SESSION_TOKEN": extra.get("aws_session_token"),
        "AWS_REGION": extra.get("region_name"),
        "AWS_DEFAULT_REGION": extra.get("region_name"),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true" if str(endpoint).startswith("http://") else None,
    }
    return {name: value for name, value in variables.items() if value}


def _google(found: Any) -> dict[str, str]:
    """The key as a file that the worker and its steps both have,
    or as text, which the step writes to a file of its own.
    """
    if found is None:
        return {}
    extra = {
        name.removeprefix("extra__google_cloud_platform__"): value
        for name, value in found.extra_dejson.items()
    }
    key = extra.get("keyfile_dict")
    variables = {
        "GOOGLE_APPLICATION_CREDENTIALS": extra.get("key_path"),
        "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(key) if isinstance(key, dict) else key,
        "GOOGLE_CLOUD_PROJECT": extra.get("project"),
    }
    return {name: value for name, value in variables.items() if value}


def _connection(name: str) -> Any:
    try:
        return Connection.get(name)
    except AirflowNotFoundException:
        return None
