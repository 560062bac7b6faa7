"""Every setting, typed, from the environment (`PERENNIAL_...`) or the project's .env.

The defaults need nothing.
"""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import InvalidProject
from tasks.variables import Folder, read

PROJECT = Path(__file__).resolve().parent.parent
CLONE = "PERENNIAL_CLONE"
"""Says in a shell that `make env` has pointed to a platform, which clone that was."""

NOT_MADE = ".not-made"
"""What embedded/environments.py leaves in a model's environment that could not be made: why."""


def separated(text: str) -> list[str]:
    """The entries of a comma-separated setting."""
    return [part.strip() for part in text.split(",") if part.strip()]


NumberIfAny = Annotated[
    Annotated[float, Field(ge=0, allow_inf_nan=False)] | None,
    BeforeValidator(lambda given: None if given == "" else given),
]
"""Empty, as a line of .env without a value gives it, is no number."""


class Settings(BaseSettings):
    """Where everything lies and how the services are reached.

    Attributes:
        project: The clone: dags/ and plugins/ lie here.
        models: The folder of the models, one folder each.
        suites: Great Expectations' project folder; the suites lie in its `expectations`.
        home: State of the embedded platform: one ignored folder.
        runner: How a heavy step runs: `process` is a child process in its own environment, `docker` a
            container, `kubernetes` a pod.
        environments: The folder of the locked environments that `make setup` built.
        lake_url, runs_url, landing_url: The tables, the steps' working folders, and where files land. A local
            path or an object-store URL (`s3://...`, `gs://...`); empty for folders of `home`, or of
            `store_url` where that is set.
        landing_poll_seconds: Between two looks into a landing folder.
        landing_subscription: Google Pub/Sub's subscription to the objects that land in a table's folder,
            `projects/.../subscriptions/...` with `{table}` in it; empty where the folder is looked into
            instead.
        ledger_url: Where the ledger's heads are kept, outside its database; empty for a folder beside the
            others.
        store_url: One place for all of them: a local path or an object-store URL.
        code_commit: The Git commit that this image was built from; empty where the project is a clone.
        image_digest: The image that this step runs in, by digest; set by the runner, empty for a process.
        step_image: The image of the steps, by digest: `sha256:...` on the engine, or `name@sha256:...` of a
            registry.
        step_network: The Docker network in which the steps reach the store, MLflow, the database and the
            services.
        step_mounts: Named volumes for the steps, `volume:/path[:ro]`, comma-separated. Only those, and no
            folder of the host.
        step_cpus, step_memory_mib, step_scratch_mib: Limits of a step that is not the training.
        memory_mib, scratch_mib: The limits of this very step; set by the runner, 0 for a process.
        gpu_missing: Why this very step got no GPU although it asked for one; set by the runner.
        installation: The name of this installation: two that share an engine or a cluster must differ in it.
        kubernetes_connection: The Airflow connection of the cluster of the pods; without it, the one that
            Airflow is in.
        kubernetes_namespace: The namespace of the pods.
        kubernetes_secret: The Secret there whose keys are the secret variables of the steps, by their own
            names.
        kubernetes_service_account: Of the pods, where the store's rights come from it; empty for the
            namespace's default.
        kubernetes_node_selector: Labels that a node must have, `name=value`, comma-separated.
        kubernetes_gpu_seconds: How long a training that only prefers a GPU waits for a node with one.
        gpu_queue: The Celery or Edge queue of steps that want a GPU.
        gpu_pool: The Airflow pool that they wait for.
        gpu_executor: The Airflow executor that runs them, where there are several (`EdgeExecutor`); empty for
            Airflow's first.
        mlflow_url: Where the steps reach MLflow.
        gateway_url: Where the steps reach the gateway.
        gateway_token: What they show there to change a route.
        mlflow_pages: Where a browser finds MLflow's pages, an URL or a path beside Airflow's; empty where
            that is `mlflow_url`.
        mlflow_key: What the runner derives each step's MLflow password from; no step has it. Empty where
            MLflow asks nobody, or everybody for the login of MLFLOW_TRACKING_USERNAME and _PASSWORD.
        alias_poll_seconds: Between two looks whether an alias was moved in MLflow.
        release_environments: The environments before production, comma-separated, in the order in which a
            version passes through them; `staging=http://...` where one has a gateway of its own, `staging`
            where production's gateway answers for it below that name. Empty for production alone.
        database_url: SQLAlchemy URL of the platform's own database (ledger, retrain requests); empty for
            SQLite in `home`.
        database_wait_seconds: How long a server that refuses connections, as while it starts, is asked again.
        ledger_key: What the ledger's heads are signed with, an Ed25519 private key of 64 hexadecimal digits;
            empty where they are not signed.
        processor_watts, gpu_watts: What a busy core, and a GPU, is taken to draw where a model's card tells
            of the energy of its training.
        energy_overhead: What the data centre is taken to draw for each watt of the machine.
        carbon_grams_per_kwh: What the electricity emits; empty where emissions are not estimated.
        processor_price_per_hour, gpu_price_per_hour: Of a core and of a GPU; empty where costs are not
            estimated.
        currency: Of these prices.
        alerts: The Airflow connections that alerts are sent by, comma-separated: of the types `smtp`,
            `slackwebhook`, `http` and `pagerduty_events`. Empty where they are only listed.
        alerts_remind_hours: After so long what was told and is not over is called to mind.
        loop_silent_minutes: After so long without a sign of the loop, which is at work each minute, the
            service `loop-watch` tells the channels.
        heartbeat_url: What the loop asks each minute, so that a service elsewhere notices when it no longer
            does; empty for none. It is a secret: who knows it can ask in the loop's place.
        heartbeat_method: How: a POST has the time of the beat, as a metric of Prometheus.
        torchserve_inference_url, torchserve_management_url: TorchServe's addresses; of several servers
            comma-separated, in the same order.
        torchserve_store: The folder that TorchServe loads archives from; empty for a folder of `home`.
        torchserve_key_file: TorchServe's key_file.json; empty for the one in `home`. Of several servers
            comma-separated, in the same order.
        oip_url: The server of the Open Inference Protocol; of several, which share its store and tokens,
            comma-separated.
        oip_store: The folder that it loads archives from; empty for a folder of `home`.
        oip_key_file: Its tokens; empty for the file in `home`.
    """

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", env_file=PROJECT / ".env", extra="ignore")

    project: Folder = PROJECT
    models: Folder = PROJECT / "models"
    suites: Folder = PROJECT / "great_expectations"
    home: Folder = PROJECT / ".perennial" / "state"
    environments: Folder = PROJECT / ".perennial" / "envs"
    runner: Literal["process", "docker", "kubernetes"] = "process"
    store_url: str = ""
    lake_url: str = ""
    ledger_url: str = ""
    runs_url: str = ""
    landing_url: str = ""
    landing_poll_seconds: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    landing_subscription: str = ""
    database_url: str = ""
    database_wait_seconds: float = Field(default=60, ge=0, allow_inf_nan=False)
    ledger_key: SecretStr = SecretStr("")
    mlflow_url: str = "http://127.0.0.1:5000"
    mlflow_pages: str = ""
    mlflow_key: SecretStr = SecretStr("")
    alias_poll_seconds: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    gateway_url: str = "http://127.0.0.1:8000"
    gateway_token: SecretStr = SecretStr("")
    release_environments: str = ""
    code_commit: str = ""
    image_digest: str = ""
    step_image: str = ""
    step_network: str = ""
    step_mounts: str = ""
    step_cpus: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    step_memory_mib: int = Field(default=4096, gt=0)
    step_scratch_mib: int = Field(default=2048, gt=0)
    memory_mib: int = Field(default=0, ge=0)
    scratch_mib: int = Field(default=0, ge=0)
    gpu_missing: str = ""
    installation: str = "perennial"
    kubernetes_connection: str = "kubernetes_default"
    kubernetes_namespace: str = "perennial"
    kubernetes_secret: str = ""
    kubernetes_service_account: str = ""
    kubernetes_node_selector: str = ""
    kubernetes_gpu_seconds: float = Field(default=60, ge=0, allow_inf_nan=False)
    gpu_queue: str = "gpu"
    gpu_pool: str = "gpu"
    gpu_executor: str = ""
    processor_watts: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    gpu_watts: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    energy_overhead: float = Field(default=1.5, ge=1, allow_inf_nan=False)
    carbon_grams_per_kwh: NumberIfAny = None
    processor_price_per_hour: NumberIfAny = None
    gpu_price_per_hour: NumberIfAny = None
    currency: str = Field(default="", max_length=20)
    alerts: str = ""
    alerts_remind_hours: float = Field(default=24, gt=0, le=8760, allow_inf_nan=False)
    loop_silent_minutes: float = Field(default=15, gt=0, le=525_600, allow_inf_nan=False)
    heartbeat_url: SecretStr = SecretStr("")
    heartbeat_method: Literal["GET", "POST"] = "POST"
    torchserve_inference_url: str = "http://127.0.0.1:8085"
    torchserve_management_url: str = "http://127.0.0.1:8086"
    torchserve_store: str = ""
    torchserve_key_file: str = ""
    oip_url: str = "http://127.0.0.1:8088"
    oip_store: str = ""
    oip_key_file: str = ""

    @property
    def lake(self) -> str:
        return self.lake_url or self._in_store("lake")

    @property
    def runs(self) -> str:
        return self.runs_url or self._in_store("runs")

    @property
    def landing(self) -> str:
        return self.landing_url or self._in_store("landing")

    @property
    def ledger(self) -> str:
        return self.ledger_url or self._in_store("ledger")

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'perennial.db'}"

    @property
    def model_store(self) -> Path:
        return Path(self.torchserve_store or self.home / "torchserve" / "store")

    @property
    def key_files(self) -> list[Path]:
        """The tokens of each TorchServe."""
        given = separated(self.torchserve_key_file)
        return [Path(path) for path in given] or [self.home / "torchserve" / "key_file.json"]

    @property
    def oip_folder(self) -> Path:
        return Path(self.oip_store or self.home / "inference" / "store")

    @property
    def oip_keys(self) -> Path:
        return Path(self.oip_key_file or self.home / "inference" / "key_file.json")

    @property
    def energy(self) -> dict[str, float | str | None]:
        """What an estimate of energy and cost rests on, as the contract `EnergyAssumptions` takes it."""
        names = ("processor_watts", "gpu_watts", "carbon_grams_per_kwh")
        prices = ("processor_price_per_hour", "gpu_price_per_hour", "currency")
        return {"overhead": self.energy_overhead, **{name: getattr(self, name) for name in (*names, *prices)}}

    def _in_store(self, folder: str) -> str:
        return f"{self.store_url.rstrip('/')}/{folder}" if self.store_url else str(self.home / folder)

    def python(self, model: str | None = None) -> Path:
        """The interpreter of the heavy steps; of the model's own environment where it brings requirements.

        Raises:
            InvalidProject: That environment could not be made from them.
        """
        own = self.environments / f"model-{model}"
        if model and (own / NOT_MADE).exists():
            raise InvalidProject((own / NOT_MADE).read_text(encoding="utf-8"))
        python = own / "bin" / "python"
        return python if model and python.exists() else self.environments / "ml" / "bin" / "python"


def is_of_another_clone() -> bool:
    """Whether `make env` of another clone has pointed the shell of this process to its own platform."""
    return os.environ.get(CLONE, str(PROJECT)) != str(PROJECT)


def forget_another_clone() -> None:
    """Drop every setting of the environment where they are another clone's; .env is this clone's anyway."""
    if is_of_another_clone():
        for name in [name for name in os.environ if name.startswith("PERENNIAL_")]:
            del os.environ[name]
        settings.cache_clear()


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        InvalidSettings: A variable has a value that its setting does not take.
    """
    return read(Settings)
