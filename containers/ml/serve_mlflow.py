"""Serve MLflow's pages and REST API: `python serve_mlflow.py HOST PORT DATABASE_URL ARTIFACTS_URL`.

What `mlflow server --app-name basic-auth` does, without the process that it keeps beside its web server and
that only waits: on one machine that is 210 MB of memory, and two thirds of the processor time of a start. The
database must be there and of this version (`upgrade_mlflow.py`).

Secrets come from the environment: PERENNIAL_MLFLOW_KEY, from which the steps' passwords are derived
(mlflow_access.py), and the administrator whom people log in as, MLFLOW_AUTH_ADMIN_USERNAME and _PASSWORD.
"""

import configparser
import hmac
import os
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from mlflow import environment_variables

SECRETS = ("PERENNIAL_MLFLOW_KEY", "MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_AUTH_ADMIN_PASSWORD")
LOGIN_CACHED_SECONDS = 60
"""How long a person's password is remembered; checking one costs as much time as a dozen requests."""


def main(
    host: str,
    port: int,
    backend_store_uri: str,
    artifacts_destination: str,
    *,
    upgrade: bool = False,
    around: Callable[[Any], Any] = lambda app: app,
) -> None:
    """Serve until SIGTERM.

    The application reads its environment where it is imported; clients write artifacts through it, by HTTP.

    Args:
        upgrade: Whether to bring the database to this version first.
        around: What is put around the application.
    """
    require(*SECRETS)
    with tempfile.TemporaryDirectory(prefix="perennial-mlflow-") as private:
        os.environ |= _environment(backend_store_uri, artifacts_destination, Path(private, "auth.ini"))
        import mlflow.server
        import mlflow_access
        import upgrade_mlflow
        from mlflow.server import auth

        if upgrade:
            upgrade_mlflow.main(backend_store_uri)
        mlflow_access.note_who_moves_champions()
        app = auth.create_app()
        mlflow_access.keep_admin(
            os.environ["MLFLOW_AUTH_ADMIN_USERNAME"], os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
        )
        log = Path(str(mlflow.server.__file__)).with_name("uvicorn_log_config.yaml")
        uvicorn.run(around(app), host=host, port=port, log_config=str(log))


def require(*names: str) -> None:
    """End with a sentence where a variable is not set."""
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        sys.exit(f"MLflow cannot start: {' and '.join(missing)} must be set.")


def _environment(backend_store_uri: str, artifacts_destination: str, ini: Path) -> dict[str, str]:
    from mlflow.server import constants

    _write_ini(ini, backend_store_uri)
    key = os.environ["PERENNIAL_MLFLOW_KEY"].encode()
    return {
        constants.BACKEND_STORE_URI_ENV_VAR: backend_store_uri,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: artifacts_destination,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        # By this MLflow knows that it is a server, which must never run code that a client stored.
        environment_variables._MLFLOW_SERVER_BOOT_ID.name: uuid.uuid4().hex,  # noqa: SLF001 - nothing public sets it
        environment_variables._MLFLOW_SGI_NAME.name: "uvicorn",  # noqa: SLF001
        environment_variables.MLFLOW_AUTH_CONFIG_PATH.name: str(ini),
        environment_variables.MLFLOW_BASIC_AUTH_FAIL_CLOSED.name: "true",
        environment_variables.MLFLOW_FLASK_SERVER_SECRET_KEY.name: hmac.new(
            key, b"flask", "sha256"
        ).hexdigest(),
    }


def _write_ini(path: Path, database_uri: str) -> None:
    """MLflow reads where its users are from a file alone; it lies in a folder that nobody else can open."""
    parser = configparser.ConfigParser(interpolation=None)
    parser["mlflow"] = {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": database_uri.replace("%", "%%"),
        "authorization_function": "mlflow_access:authenticate",
        "auth_cache_ttl_seconds": str(LOGIN_CACHED_SECONDS),
    }
    with path.open("w", encoding="utf-8") as file:
        parser.write(file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
