"""Serve MLflow's pages and REST API: `python serve_mlflow.py
HOST PORT BACKEND_STORE_URI ARTIFACTS_DESTINATION`.

What `mlflow server` does, without the process that it keeps beside its web server and that only waits: on one
machine that is 210 MB of memory, and two thirds of the processor time of a start. The database must be there
and of this version (`mlflow db upgrade`).
"""

import os
import sys
import uuid
from pathlib import Path

import mlflow.server
import uvicorn
from mlflow import environment_variables
from mlflow.server import constants


def main(host: str, port: int, backend_store_uri: str, artifacts_destination: str) -> None:
    """Serve until SIGTERM.

    The application reads its environment; clients write artifacts through it, by HTTP.
    """
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: backend_store_uri,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: artifacts_destination,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        # By this MLflow knows that it is a server, which must never run code that a client stored.
        environment_variables._MLFLOW_SERVER_BOOT_ID.name: uuid.uuid4().hex,  # noqa: SLF001 - nothing public sets it
    }
    log = Path(str(mlflow.server.__file__)).with_name("uvicorn_log_config.yaml")
    uvicorn.run("mlflow.server.fastapi_app:app", host=host, port=port, log_config=str(log))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
