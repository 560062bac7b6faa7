"""The MLflow server as a process of the embedded platform:
SQLite, and artifacts on disk that clients reach by HTTP only.
"""

from embedded.migration import Migration, version_of
from embedded.settings import EmbeddedSettings
from embedded.supervision import Program
from tasks.settings import PROJECT

SERVE = PROJECT / "containers" / "ml" / "serve_mlflow.py"
NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
# A minute of waiting (2 + 4 + 8 + 16 + 32 s) outlasts a restart of the server; MLflow's default is four.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5"}


def prepare(settings: EmbeddedSettings) -> None:
    """Make the server's folder."""
    (settings.home / "mlflow" / "artifacts").mkdir(parents=True, exist_ok=True)


def migration(settings: EmbeddedSettings) -> Migration:
    """MLflow's database."""
    return Migration(
        "mlflow-migrate", settings.home / "mlflow" / "mlflow.db", version_of(settings, "ml", "mlflow")
    )


def programs(settings: EmbeddedSettings, port: int, base: dict[str, str]) -> list[Program]:
    """The server and, where it is needed, the migration that it waits for."""
    folder, first = settings.home / "mlflow", migration(settings)
    environment = {**base, **NO_TELEMETRY, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    stores = (f"sqlite:///{first.database}", str(folder / "artifacts"))
    serve = (str(settings.python("ml")), str(SERVE), "127.0.0.1", str(port), *stores)
    waits_for = first.name if first.needed() else None
    server = Program("mlflow", serve, environment, folder, waits_for=waits_for)
    upgrade = (
        str(settings.environments / "ml" / "bin" / "mlflow"),
        "db",
        "upgrade",
        f"sqlite:///{first.copy}",
    )
    return [Program(first.name, upgrade, environment, folder, once=True), server] if waits_for else [server]
