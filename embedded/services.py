"""Which programs the platform is made of, and what each is told through its environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from embedded import airflow, clone, gateway, inference, loop_watch, mlflow, torchserve
from embedded.health import Addresses
from embedded.migration import Migration
from embedded.private import Secrets
from embedded.processes import MARK
from embedded.settings import PORTS, EmbeddedSettings
from embedded.supervision import Program
from tasks.settings import CLONE, PROJECT

FOREIGN = (
    "AIRFLOW_HOME",
    "AIRFLOW_CONFIG",
    "AIRFLOW__",
    "_AIRFLOW_",
    "MLFLOW_",
    "OPENLINEAGE_",
    "_MLFLOW_",
    "PYTHON",
    "SUPERVISOR_",
    "TS_",
    "VIRTUAL_ENV",
    "PERENNIAL_OPENLINEAGE_KEY",
    "PERENNIAL_PREDICTION_TOKENS",
    MARK,
)
OF_AIRFLOW = ("AIRFLOW_CONN_", "AIRFLOW_VAR_", "PERENNIAL_HEARTBEAT_URL")
"""Connections, variables and where the heartbeat goes, which hold secrets: for Airflow's processes alone."""
LOOPBACK = "127.0.0.1,localhost"


def variables(settings: EmbeddedSettings, ports: Mapping[str, int], secrets: Secrets) -> dict[str, str]:
    """What points Airflow's processes, and through them the steps, to this platform."""
    addresses = Addresses.of(ports)
    return {
        **airflow.variables(settings, PROJECT, ports["airflow_port"], secrets),
        **mlflow.NO_TELEMETRY,
        **mlflow.PATIENCE,
        "MLFLOW_TRACKING_URI": addresses.mlflow,
        CLONE: str(PROJECT),
        "PERENNIAL_INSTALLATION": clone.installation(settings),
        "PERENNIAL_HOME": str(settings.home),
        "PERENNIAL_ENVIRONMENTS": str(settings.environments),
        "PERENNIAL_AIRFLOW_URL": addresses.airflow,
        "PERENNIAL_MLFLOW_URL": addresses.mlflow,
        "PERENNIAL_MLFLOW_KEY": secrets.mlflow_key,
        "PERENNIAL_LEDGER_KEY": secrets.ledger_key,
        "PERENNIAL_GATEWAY_URL": addresses.gateway,
        "PERENNIAL_GATEWAY_TOKEN": secrets.gateway_token,
        "PERENNIAL_RELEASE_ENVIRONMENTS": settings.release_environments,
        "PERENNIAL_TORCHSERVE_INFERENCE_URL": addresses.torchserve_inference,
        "PERENNIAL_TORCHSERVE_MANAGEMENT_URL": addresses.torchserve_management,
        "PERENNIAL_TORCHSERVE_KEY_FILE": str(key_file(settings)),
        "PERENNIAL_TORCHSERVE_STORE": str(settings.home / "torchserve" / "store"),
        "PERENNIAL_OIP_URL": addresses.inference,
        "PERENNIAL_OIP_KEY_FILE": str(_oip_key_file(settings)),
        "PERENNIAL_OIP_STORE": str(settings.home / "inference" / "store"),
        "PYTHONPATH": str(PROJECT),
    }


def exports() -> set[str]:
    """The names of what points a shell to a platform, whatever the settings of this one are."""
    nobodys = Secrets()
    own = variables(EmbeddedSettings.model_construct(), dict.fromkeys(PORTS, 0), nobodys)
    return {*own, *mlflow.login(nobodys)}


def clean_environment() -> dict[str, str]:
    """This process's environment without what would configure
    our programs behind our back, and past any proxy on loopback.

    Airflow connections and variables (AIRFLOW_CONN_..., AIRFLOW_VAR_...) and our own settings pass. The
    tokens of the gateway's users do not, which are for the gateway alone, nor the key of a collector of
    lineage, which Airflow has in its own configuration.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    for name in ("no_proxy", "NO_PROXY"):
        kept[name] = ",".join(filter(None, [os.environ.get(name), LOOPBACK]))
    return kept


def given_to_airflow(env_file: Path = PROJECT / ".env") -> dict[str, str]:
    """Airflow's connections and variables, of the environment and, below that, of the project's .env.

    The runner keeps them from the steps, as all of AIRFLOW_...
    """
    given = {**dotenv_values(env_file), **os.environ}
    return {name: value for name, value in given.items() if value and name.startswith(OF_AIRFLOW)}


def without_airflow_s(environment: Mapping[str, str]) -> dict[str, str]:
    """For the programs beside Airflow, of which TorchServe runs what the models' teams wrote."""
    return {name: value for name, value in environment.items() if not name.startswith(OF_AIRFLOW)}


def key_file(settings: EmbeddedSettings) -> Path:
    """Where TorchServe writes its tokens at each start."""
    return settings.home / "torchserve" / "key_file.json"


def _oip_key_file(settings: EmbeddedSettings) -> Path:
    """Where the inference server writes its tokens at its first start."""
    return settings.home / "inference" / "key_file.json"


def programs(settings: EmbeddedSettings, ports: Mapping[str, int], secrets: Secrets) -> list[Program]:
    """Every program, its folder prepared. Each knows the secrets that it needs and no others."""
    # SPT_NOENV: Airflow's processes name themselves, which by default overwrites the mark that /proc shows.
    base = {**without_airflow_s(clean_environment()), MARK: str(settings.home), "SPT_NOENV": "1"}
    control_path = f"{settings.environments / 'control' / 'bin'}:{base.get('PATH', '')}"
    airflow.prepare(settings, secrets)
    mlflow.prepare(settings)
    for migration in migrations(settings):
        migration.begin()
    of_airflow = {**base, **given_to_airflow(), **variables(settings, ports, secrets), "PATH": control_path}
    return [
        *airflow.programs(settings, of_airflow),
        loop_watch.program(settings, of_airflow),
        *mlflow.programs(settings, ports["mlflow_port"], secrets, base),
        _torchserve(settings, ports, base),
        _inference(settings, ports, base),
        _gateway(settings, ports, secrets, base),
    ]


def migrations(settings: EmbeddedSettings) -> list[Migration]:
    """The databases that have to be made or upgraded before their services start."""
    return [
        migration
        for migration in (airflow.migration(settings), mlflow.migration(settings))
        if migration.is_needed()
    ]


def _torchserve(settings: EmbeddedSettings, ports: Mapping[str, int], base: dict[str, str]) -> Program:
    folder = settings.home / "torchserve"
    torchserve.prepare(
        folder,
        inference_port=ports["torchserve_inference_port"],
        management_port=ports["torchserve_management_port"],
        metrics_port=ports["torchserve_metrics_port"],
        store=folder / "store",
    )
    command, own = torchserve.command(settings.environments / "serving", folder)
    return Program("torchserve", tuple(command), {**base, **own}, folder)


def _inference(settings: EmbeddedSettings, ports: Mapping[str, int], base: dict[str, str]) -> Program:
    folder = settings.home / "inference"
    command, own = inference.command(settings.environments / "inference", folder, ports["inference_port"])
    return Program("inference", tuple(command), {**base, **own}, folder)


def _gateway(
    settings: EmbeddedSettings, ports: Mapping[str, int], secrets: Secrets, base: dict[str, str]
) -> Program:
    folder = settings.home / "gateway"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command, own = gateway.command(
        settings.environments / "gateway",
        port=ports["gateway_port"],
        token=secrets.gateway_token,
        database_url=f"sqlite:///{folder / 'gateway.db'}",
        torchserve_url=Addresses.of(ports).torchserve_inference,
        torchserve_key_file=key_file(settings),
        prediction_tokens=settings.prediction_tokens.get_secret_value(),
    )
    more = {
        "PERENNIAL_GATEWAY_WORKERS": str(settings.gateway_workers),
        "PERENNIAL_RELEASE_ENVIRONMENTS": settings.release_environments,
        "PERENNIAL_FEEDBACK_LIMIT": settings.feedback_limit,
        "PERENNIAL_RATE_LIMIT": settings.rate_limit,
        "PERENNIAL_BODY_BYTES": str(settings.body_bytes),
        "PERENNIAL_USER_PAGE": str(settings.user_page),
        "PERENNIAL_LOG_DURABILITY": settings.log_durability,
        "PERENNIAL_LOG_SPOOL_BYTES": str(settings.log_spool_bytes),
        "PERENNIAL_OIP_URL": Addresses.of(ports).inference,
        "PERENNIAL_OIP_KEY_FILE": str(_oip_key_file(settings)),
    }
    if settings.log_spool:
        more["PERENNIAL_LOG_SPOOL"] = str(settings.log_spool)
    return Program("gateway", tuple(command), {**base, **own, **more}, folder)
