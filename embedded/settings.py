"""The settings of the embedded platform, from the environment (`PERENNIAL_...`) or the project's .env."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from embedded.lineage import LineageUrl
from tasks.settings import PROJECT
from tasks.variables import Folder

ROLES = ("viewer", "user", "op", "admin")
PORTS = (
    "airflow_port",
    "mlflow_port",
    "gateway_port",
    "torchserve_inference_port",
    "torchserve_management_port",
    "torchserve_metrics_port",
    "inference_port",
)


def _from_json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"is no JSON document ({error})") from error


def _users(said: str) -> str:
    for each in filter(None, (one.strip() for one in said.split(","))):
        name, _, role = each.partition(":")
        if not re.fullmatch(r"[A-Za-z0-9._@-]+", name) or role not in ROLES or name == "admin":
            raise ValueError(
                f"{each!r} is no user: write name:role, where the role is one of {', '.join(ROLES)}, and the "
                "name, which is not admin, has letters, digits and ._@- alone"
            )
    return said


Options = Annotated[dict[str, dict[str, str]], NoDecode, BeforeValidator(_from_json)]


class EmbeddedSettings(BaseSettings):
    """How the platform runs on this machine.

    Attributes:
        home: The platform's state: databases, artifacts, tables, logs.
        environments: The folder of the locked environments that `make setup` built.
        installation: What steps in containers or pods are labelled with; empty for a name made from `home`.
        airflow_port, mlflow_port, gateway_port, torchserve_inference_port, torchserve_management_port,
            torchserve_metrics_port, inference_port: Fixed by you; None to take a free one and keep it.
        airflow_parallelism: How many tasks run at once; each is a process of Airflow's.
        airflow_users: Who may log in to Airflow beside `admin`, `name:role`, comma-separated; the roles are
            viewer, user, op and admin. Their passwords are made at the first start, in
            airflow/passwords.json of `home`.
        airflow_options: Options of Airflow beside ours, by section and name; as a variable, a JSON document.
        dags_paused: Whether a DAG that Airflow sees for the first time waits until somebody switches it on.
        dags_refresh_seconds: How often the files in dags/ are read anew, with each model's pipeline.yaml.
        start_timeout_seconds: The longest that all services together may take until they answer.
        stop_timeout_seconds: The longest that all services together may take to end by themselves.
        gateway_workers: Processes of the gateway that answer on its port; each takes a core under load and
            some 60 MB.
        release_environments: The environments before production, comma-separated, in order; those without an
            address of their own answer at the gateway's port, below their names.
        prediction_tokens: Who may ask the gateway for predictions and send labels, `name=token`,
            comma-separated; empty for everybody on this machine.
        feedback_limit: How many labels each token may send, such as `500/minute;20000/day`.
        rate_limit: How many requests each token may send that has no limit of its own; empty for no limit.
        body_bytes: The largest body that the gateway reads of a token that has no limit of its own.
        user_page: Whether each model has a page at the gateway for people, and answers are explained.
        log_durability: What an answered prediction survives: the end of any `process`, or a `power` cut, too.
        log_spool: The folder in which the gateway keeps what its database has not taken yet; None for one
            beside that database.
        log_spool_bytes: How much each process of the gateway keeps there before it refuses requests.
        openlineage_url: Where the events of OpenLineage are sent: `http(s)://...` of a collector, or
            `file:///...`; empty for nowhere.
        openlineage_key: What that collector asks for, as a bearer token; empty where it asks for nothing.
        minimum_disk_mib: Free space below which the platform does not start.
        minimum_memory_mib: Available memory below which the platform does not start.
    """

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", env_file=PROJECT / ".env", extra="ignore")

    home: Folder = PROJECT / ".perennial" / "state"
    environments: Folder = PROJECT / ".perennial" / "envs"
    installation: str = ""
    airflow_port: int | None = Field(default=None, gt=0, lt=65536)
    mlflow_port: int | None = Field(default=None, gt=0, lt=65536)
    gateway_port: int | None = Field(default=None, gt=0, lt=65536)
    torchserve_inference_port: int | None = Field(default=None, gt=0, lt=65536)
    torchserve_management_port: int | None = Field(default=None, gt=0, lt=65536)
    torchserve_metrics_port: int | None = Field(default=None, gt=0, lt=65536)
    inference_port: int | None = Field(default=None, gt=0, lt=65536)
    airflow_parallelism: int = Field(default=4, ge=1)
    airflow_users: Annotated[str, AfterValidator(_users)] = ""
    airflow_options: Options = Field(default_factory=dict)
    dags_paused: bool = False
    dags_refresh_seconds: int = Field(default=30, ge=1)
    start_timeout_seconds: float = Field(default=300, gt=0, allow_inf_nan=False)
    stop_timeout_seconds: float = Field(default=45, gt=0, allow_inf_nan=False)
    gateway_workers: int = Field(default=1, ge=1, le=64)
    release_environments: str = ""
    prediction_tokens: SecretStr = SecretStr("")
    feedback_limit: str = "20000/hour"
    rate_limit: str = ""
    body_bytes: int = Field(default=1 << 20, ge=1024, le=64 << 20)
    user_page: bool = True
    log_durability: Literal["process", "power"] = "process"
    log_spool: Folder | None = None
    log_spool_bytes: int = Field(default=1 << 30, ge=1 << 20)
    openlineage_url: LineageUrl = ""
    openlineage_key: SecretStr = SecretStr("")
    minimum_disk_mib: int = Field(default=2048, ge=0)
    minimum_memory_mib: int = Field(default=2048, ge=0)

    def python(self, environment: str) -> Path:
        """The interpreter of one of the locked environments."""
        return self.environments / environment / "bin" / "python"
