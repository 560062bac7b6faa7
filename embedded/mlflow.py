"""The MLflow server as a process of the embedded platform: SQLite, and artifacts on disk that clients reach by HTTP only."""

import os

from embedded.migration import Migration, version_of
from embedded.settings import EmbeddedSettings
from embedded.supervision import Program

NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def prepare(settings: EmbeddedSettings) -> None:
    """Make the server's folder."""
    (settings.home / "mlflow" / "artifacts").mkdir(parents=True, exist_ok=True)


def migration(settings: EmbeddedSettings) -> Migration:
    """MLflow's database."""
    return Migration("mlflow-migrate", settings.home / "mlflow" / "mlflow.db", version_of(settings, "ml", "mlflow"))


def programs(settings: EmbeddedSettings, port: int, base: dict[str, str]) -> list[Program]:
    """The server and, where it is needed, the migration that it waits for.

    One worker, and no job runner: it would be three more processes for features that are not used here.
    """
    folder, binaries, first = settings.home / "mlflow", settings.environments / "ml" / "bin", migration(settings)
    # The command starts its web server by name from the path.
    path = f"{binaries}{os.pathsep}{base.get('PATH', '')}"
    environment = {**base, **NO_TELEMETRY, "PATH": path, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = str(binaries / "mlflow")
    serve = (
        *(command, "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"),
        f"--backend-store-uri=sqlite:///{first.database}",
        f"--artifacts-destination={folder / 'artifacts'}",
    )
    waits_for = first.name if first.needed() else None
    server = Program("mlflow", serve, environment, folder, waits_for=waits_for)
    upgrade = (command, "db", "upgrade", f"sqlite:///{first.copy}")
    return [Program(first.name, upgrade, environment, folder, once=True), server] if waits_for else [server]
