"""What Airflow's connections say of the engine and of the object
stores; a connection that is set wins over the environment.
"""

import os
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.stores import google

ENGINE = "docker_default"
AWS, GOOGLE = "aws_default", "google_cloud_default"
S3, GS = ("s3://", "s3a://"), ("gs://", "gcs://")
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


def reach_store() -> None:
    """Let this process, and the steps that it starts, reach the
    object store as Airflow's connection of its cloud says, where it is set.

    Raises:
        InvalidProject: The connection cannot be made sense of.
    """
    os.environ.update(store_variables())


def store_variables() -> dict[str, str]:
    """What the clients of object stores read, as Airflow's connections say."""
    place = settings()
    urls = (place.lake, place.runs, place.landing)
    aws = _aws(_connection(AWS)) if any(url.startswith(S3) for url in urls) else {}
    return aws | (_google(_connection(GOOGLE)) if any(url.startswith(GS) for url in urls) else {})


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
    """A pod goes by its own service account, or by the key in its Secret:
    it carries nothing that everybody there could read.
    """
    if found is None:
        return {}
    try:
        from plugins.runners.google import sign_in
    except ImportError as error:
        raise google_not_installed(error) from error
    variables = sign_in()
    if settings().runner == "kubernetes":
        variables.pop(google.HANDED, None)
    return variables


def google_not_installed(error: ImportError) -> InvalidProject:
    """What to say where Airflow's environment has no Google provider."""
    return InvalidProject(
        f"Airflow's environment lacks the Google provider ({error}), which a store on gs://, Pub/Sub and "
        "Cloud Run need. Install containers/airflow/google.txt into it, or build its image with `make images "
        "GOOGLE=yes`."
    )


def _connection(name: str) -> Any:
    try:
        return Connection.get(name)
    except AirflowNotFoundException:
        return None
