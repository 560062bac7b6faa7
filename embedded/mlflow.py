"""The MLflow server as a process of the embedded platform: SQLite, and artifacts on disk that clients reach by HTTP only."""

from pathlib import Path

from embedded.settings import EmbeddedSettings
from embedded.supervision import Program

NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def program(settings: EmbeddedSettings, port: int, environment: dict[str, str]) -> Program:
    """One worker, and no job runner: it would be three more processes for features that are not used here."""
    folder = settings.home / "mlflow"
    binaries = settings.environments / "ml" / "bin"
    command = (
        str(binaries / "mlflow"),
        "server",
        "--host=127.0.0.1",
        f"--port={port}",
        "--workers=1",
        f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}",
        f"--artifacts-destination={folder / 'artifacts'}",
    )
    # The command starts its web server by name from the path.
    path = f"{binaries}:{environment.get('PATH', '')}"
    return Program("mlflow", command, {**environment, "PATH": path, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, folder)


def prepare(settings: EmbeddedSettings) -> Path:
    """Make the server's folder."""
    folder = settings.home / "mlflow"
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    return folder
