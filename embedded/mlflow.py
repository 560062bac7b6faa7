"""The MLflow server as a process of the embedded platform:
SQLite, and artifacts on disk that clients reach by HTTP only.
"""

from embedded.migration import Migration, version_of
from embedded.private import Secrets
from embedded.settings import EmbeddedSettings
from embedded.supervision import Program
from tasks.settings import PROJECT

USER = "admin"
SCRIPTS = PROJECT / "containers" / "ml"
NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
# A minute of waiting (2 + 4 + 8 + 16 + 32 s) outlasts a restart of the server; MLflow's default is four.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5"}


def prepare(settings: EmbeddedSettings) -> None:
    """Make the server's folder."""
    (settings.home / "mlflow" / "artifacts").mkdir(parents=True, exist_ok=True)


def login(secrets: Secrets) -> dict[str, str]:
    """What a person's client logs in with."""
    return {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": secrets.mlflow_password}


def migration(settings: EmbeddedSettings) -> Migration:
    """MLflow's database, with its users: one that was made before there were users gets them too."""
    version = f"{version_of(settings, 'ml', 'mlflow')} with users"
    return Migration("mlflow-migrate", settings.home / "mlflow" / "mlflow.db", version)


def programs(settings: EmbeddedSettings, port: int, secrets: Secrets, base: dict[str, str]) -> list[Program]:
    """The server and, where it is needed, the migration that it waits for."""
    folder, first, python = settings.home / "mlflow", migration(settings), str(settings.python("ml"))
    environment = {**base, **NO_TELEMETRY, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    private = {
        "PERENNIAL_MLFLOW_KEY": secrets.mlflow_key,
        "MLFLOW_AUTH_ADMIN_USERNAME": USER,
        "MLFLOW_AUTH_ADMIN_PASSWORD": secrets.mlflow_password,
    }
    stores = (f"sqlite:///{first.database}", str(folder / "artifacts"))
    serve = (python, str(SCRIPTS / "serve_mlflow.py"), "127.0.0.1", str(port), *stores)
    waits_for = first.name if first.is_needed() else None
    server = Program("mlflow", serve, {**environment, **private}, folder, waits_for=waits_for)
    upgrade = (python, str(SCRIPTS / "upgrade_mlflow.py"), f"sqlite:///{first.copy}")
    return [Program(first.name, upgrade, environment, folder, once=True), server] if waits_for else [server]
