"""The story on the compose stack: told from a container on the
stack's own network, with the settings that its steps have.

The stack is started and stopped by `make` outside (containers/compose/demo.sh), which also measures its
memory: no container sees the others' there.
"""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import requests
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from demo.failure import StepFailed, require
from demo.stage import MODELS_PAGE, Memory, Scene, Tell
from demo.traffic import session_of

HEALTHY_WITHIN_SECONDS = 300
POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 10
LOGIN_SECONDS = 60


class ComposeSettings(BaseSettings):
    """What docker-compose.yaml tells the demo's container (`DEMO_...`).

    Attributes:
        entrance: The reverse proxy as containers reach it; REQUESTS_CA_BUNDLE has its certificate trusted.
        address: The reverse proxy as a browser on the host reaches it.
        user, password: A user of Airflow's who may unpause and trigger.
        prediction_token: What the gateway asks for below /v1/.
    """

    model_config = SettingsConfigDict(env_prefix="DEMO_")

    entrance: str = "https://entrance"
    address: str = "https://localhost"
    user: str = "admin"
    password: SecretStr = SecretStr("")
    prediction_token: SecretStr = SecretStr("")


@dataclass(frozen=True)
class Unseen:
    """The memory of a platform that this process cannot look into."""

    peak_mib: float | None = None


class OnCompose:
    """A `Stage` that is there already, and stays."""

    def __init__(self) -> None:
        self._settings = ComposeSettings()

    def prepare(self) -> None:
        require(
            bool(self._settings.password.get_secret_value()),
            "DEMO_PASSWORD is not set: this runs in the stack's own container `demo`. Use `make demo "
            "ON=compose`.",
        )

    def start(self, tell: Tell) -> Scene:
        """Wait until the reverse proxy leads to services that answer."""
        until = time.monotonic() + HEALTHY_WITHIN_SECONDS
        while missing := self._missing():
            if time.monotonic() > until:
                raise StepFailed(
                    f"No answer within {HEALTHY_WITHIN_SECONDS} s: {missing}. `docker compose ps` and its "
                    "logs say more."
                )
            tell(missing)
            time.sleep(POLL_SECONDS)
        address = self._settings.address
        pages = {
            "Models": f"{address}/{MODELS_PAGE}",
            "Airflow": f"{address}/",
            "MLflow": f"{address}/mlflow/",
            "Gateway": f"{address}/v1/models",
        }
        passwords = {"Airflow": "ADMIN_PASSWORD", "MLflow": "MLFLOW_PASSWORD"}
        logins = {name: f"{self._settings.user}, with {of} of .env" for name, of in passwords.items()}
        logins["Gateway"] = "the header Authorization: Bearer, with PREDICTION_TOKEN of .env"
        entrance, token = self._settings.entrance, self._settings.prediction_token.get_secret_value()
        return Scene(entrance, entrance, pages, logins, token or None)

    def token(self) -> str:
        login = {"username": self._settings.user, "password": self._settings.password.get_secret_value()}
        with requests.Session() as session:  # which tries again: a machine that starts everything is busy
            again = Retry(total=5, backoff_factor=1, allowed_methods=None, raise_on_status=False)
            session.mount("https://", HTTPAdapter(max_retries=again))
            answer = session.post(f"{self._settings.entrance}/auth/token", json=login, timeout=LOGIN_SECONDS)
        require(
            answer.ok,
            f"Airflow refused the login of {self._settings.user!r}: {answer.status_code} {answer.text[:200]}",
        )
        return str(answer.json()["access_token"])

    def memory(self) -> AbstractContextManager[Memory]:
        return nullcontext(Unseen())

    def watch(self, tell: Tell) -> None:
        tell("Everything keeps serving. `make down` stops it and removes it.")

    def stop(self, tell: Tell) -> None:
        """Whoever started the stack stops it."""

    def _missing(self) -> str:
        """Which service does not answer yet, and what came instead; empty when all do."""
        session = session_of(self._settings.prediction_token.get_secret_value())
        for name, path in (("Airflow", "/api/v2/monitor/health"), ("the gateway", "/v1/models")):
            try:
                answer = session.get(self._settings.entrance + path, timeout=TIMEOUT_SECONDS)
            except requests.RequestException as error:
                return f"{name}: {error}"
            if not answer.ok:
                return f"{name}: {answer.status_code}"
            if ill := [
                part
                for part, found in answer.json().items()
                if isinstance(found, dict) and found.get("status") == "unhealthy"
            ]:
                return f"{name}: {', '.join(ill)} unhealthy"
        return ""
