"""Airflow as processes of the embedded platform: its configuration, its commands, its health.

Configured by the environment alone, so that there is no airflow.cfg to drift away from this file.
"""

import json
from pathlib import Path
from secrets import token_urlsafe

import requests

from embedded import clone, lineage
from embedded.migration import Migration, version_of
from embedded.private import Secrets, write_private
from embedded.settings import EmbeddedSettings
from embedded.supervision import Program

USER = "admin"
DATABASE = "airflow.db"
CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
BUSY_SECONDS = 120
API_BUSY_SECONDS = 15
TASK_PATIENCE_SECONDS = 30
DAG_FILE_SECONDS = 120
COMPONENTS = {
    "airflow-api-server": "metadatabase",
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}


def variables(settings: EmbeddedSettings, project: Path, port: int, secrets: Secrets) -> dict[str, str]:
    """Airflow's configuration, as environment variables."""
    home = settings.home / "airflow"
    url = f"http://127.0.0.1:{port}"
    options: dict[str, dict[str, object]] = {
        "core": _core(settings, project, home, secrets, url),
        "scheduler": _scheduler(),
        "workers": {
            # An API server that is killed is back after 10 s, on a busy machine a minute; tasks wait instead
            # of giving up.
            "max_failed_heartbeats": 24,
            "execution_api_retries": 24,
            "execution_api_retry_wait_max": 5,
            # Longer than a request waits for SQLite, which has no row locks: a task that gave up sooner (by
            # default after 5 s) and asked again would have two requests under way, and the second could park
            # a question that a person has answered after the first, for good.
            "execution_api_timeout": TASK_PATIENCE_SECONDS,
        },
        "dag_processor": {
            # The default is one folder under the temporary directory for all Airflows of the machine.
            "dag_bundle_storage_path": home / "bundles",
            "refresh_interval": settings.dags_refresh_seconds,
            "min_file_process_interval": settings.dags_refresh_seconds,
            "parsing_processes": 1,
            "dag_file_processor_timeout": DAG_FILE_SECONDS + 60,
        },
        "database": {"sql_alchemy_conn": _connection(home / DATABASE)},
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "base_url": url,
            "workers": 1,
            "secret_key": secrets.airflow_secret_key,
        },
        "api_auth": {"jwt_secret": secrets.airflow_jwt_secret, "jwt_issuer": "perennial"},
        "logging": _logging(home),
        "usage_data_collection": {"enabled": False},
        "openlineage": lineage.options(
            settings.openlineage_url,
            settings.openlineage_key.get_secret_value(),
            clone.installation(settings),
        ),
    }
    flat = {
        f"AIRFLOW__{section}__{key}".upper(): str(value)
        for given in (options, settings.airflow_options)
        for section, keys in given.items()
        for key, value in keys.items()
    }
    return {"AIRFLOW_HOME": str(home), "SCARF_ANALYTICS": "false", **flat}


def _connection(database: Path) -> str:
    """Airflow's own SQLite, in which a writer waits for the others; SQLite's default gives up after 5 s,
    which twenty commands at once on a busy machine exceed.
    """
    return f"sqlite:///{database}?timeout={BUSY_SECONDS}"


def _core(
    settings: EmbeddedSettings, project: Path, home: Path, secrets: Secrets, url: str
) -> dict[str, object]:
    return {
        "dags_folder": project / "dags",
        "plugins_folder": project / "plugins",
        # Less than a second of work, for which a machine with forty programs at work needed half a minute: a
        # file that is given up loses its DAGs until it is read again.
        "dagbag_import_timeout": DAG_FILE_SECONDS,
        "executor": "LocalExecutor",
        # LocalExecutor forks as many workers at once, whether they are needed or not.
        "parallelism": settings.airflow_parallelism,
        "load_examples": False,
        "dags_are_paused_at_creation": settings.dags_paused,
        "fernet_key": secrets.airflow_fernet_key,
        "execution_api_server_url": f"{url}/execution/",
        "simple_auth_manager_users": ",".join([f"{USER}:admin", *_more_users(settings)]),
        "simple_auth_manager_passwords_file": home / "passwords.json",
        "hostname_callable": "embedded.loopback.hostname",
    }


def _logging(home: Path) -> dict[str, object]:
    return {
        "base_log_folder": home / "logs",
        "colored_console_log": False,
        # The pages ask a log server too while a task runs. There is none, and nobody else's may answer: port
        # 9 is refused.
        "worker_log_server_port": 9,
        "trigger_log_server_port": 9,
        "namespace_levels": "airflow.utils.log.file_task_handler=CRITICAL",
    }


def _scheduler() -> dict[str, object]:
    return {
        # The pause between two looks for work. With the default of 1 s, a chain of short tasks takes far
        # longer; with a much shorter one, looking for nothing keeps a good part of a core busy.
        "scheduler_idle_sleep_time": 0.25,
        # The tasks of a scheduler that was killed are tried again within about 20 s, those of one of its
        # workers within 50 s (default: 5 minutes). Sooner than that, a machine that is busy with a training
        # looks like one whose worker is dead.
        "scheduler_health_check_threshold": 15,
        "orphaned_tasks_check_interval": 5,
        "task_instance_heartbeat_timeout": 45,
        "task_instance_heartbeat_timeout_detection_interval": 5,
        "task_queued_timeout": 120,
        "task_queued_timeout_check_interval": 15,
    }


def prepare(settings: EmbeddedSettings, secrets: Secrets) -> None:
    """Make Airflow's folder, with its users' passwords: those that are known, and new ones for new users."""
    home = settings.home / "airflow"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = home / "passwords.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    names = [user.partition(":")[0] for user in _more_users(settings)]
    passwords = {name: known.get(name) or token_urlsafe(12) for name in names}
    write_private(file, json.dumps(passwords | {USER: secrets.airflow_password}, indent=2))


def _more_users(settings: EmbeddedSettings) -> list[str]:
    return [user for each in settings.airflow_users.split(",") if (user := each.strip())]


def migration(settings: EmbeddedSettings) -> Migration:
    """Airflow's database, with the pool of the GPU: one that was made before there was a pool gets it too."""
    database = settings.home / "airflow" / DATABASE
    return Migration(
        "airflow-migrate", database, f"{version_of(settings, 'control', 'apache_airflow_core')} with a pool"
    )


def programs(settings: EmbeddedSettings, environment: dict[str, str]) -> list[Program]:
    """The four services and, where it is needed, the migration that they wait for.

    `--skip-serve-logs`: Airflow's log servers listen on every interface of the machine, and the pages read
    the logs from the folder that all processes here share.
    """
    command, folder, first = (
        str(settings.environments / "control" / "bin" / "airflow"),
        settings.home / "airflow",
        migration(settings),
    )
    arguments = {
        "airflow-api-server": ("api-server",),
        "airflow-scheduler": ("scheduler", "--skip-serve-logs"),
        "airflow-dag-processor": ("dag-processor",),
        "airflow-triggerer": ("triggerer", "--skip-serve-logs"),
    }
    waits_for = first.name if first.is_needed() else None
    environments = {"airflow-api-server": _with_less_patience(environment)}
    services = [
        Program(name, (command, *words), environments.get(name, environment), folder, waits_for=waits_for)
        for name, words in arguments.items()
    ]
    if not waits_for:
        return services
    on_the_copy = {**environment, CONNECTION: _connection(first.copy)}
    make = (str(settings.python("control")), "-m", "embedded.airflow_database")
    return [Program(first.name, make, on_the_copy, folder, once=True), *services]


def _with_less_patience(environment: dict[str, str]) -> dict[str, str]:
    """The API server's environment, in which a writer waits less long.

    It writes its audit log on the thread of all its requests (`log_action` in
    airflow.api_fastapi.logging.decorators). Where another request has written and not yet committed, which
    happens on that thread too, the two wait for each other, and everything with them, until SQLite gives up.
    """
    connection = environment.get(CONNECTION, "")
    shorter = connection.replace(f"?timeout={BUSY_SECONDS}", f"?timeout={API_BUSY_SECONDS}")
    return {**environment, CONNECTION: shorter}


def healthy(url: str) -> set[str]:
    """The names of the services that Airflow's own health page calls healthy."""
    answer = requests.get(f"{url}/api/v2/monitor/health", timeout=5)
    answer.raise_for_status()
    report = answer.json()
    return {name for name, part in COMPONENTS.items() if report[part]["status"] == "healthy"}


def token(url: str, password: str) -> str:
    """A bearer token for the REST API, good for 24 hours."""
    answer = requests.post(f"{url}/auth/token", json={"username": USER, "password": password}, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["access_token"])
