"""The settings of the command, from the environment (`PERENNIAL_...`) or the project's .env."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.settings import PROJECT


class CommandSettings(BaseSettings):
    """What points the command to a platform (`PERENNIAL_...`).

    Attributes:
        url: The reverse proxy of a platform elsewhere; Airflow is at its root, the models below /v1.
        token: A bearer token of Airflow's REST API there; it lasts a day.
        airflow_url: Airflow, where the platform is this machine's; empty where none runs.
        airflow_user, airflow_password: Whom a new token is asked for, where there is no `token`.
        prediction_token: What the gateway asks users for, where it asks for one.
        place: How the platform is told of, such as "processes on /home/ann/perennial/.perennial/state".
        public_url: Its reverse proxy as a browser reaches it, where the command reaches the services past it.
        person: Who asks, where the command runs in a container and cannot see that; empty for who is logged
            in here.
    """

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", env_file=PROJECT / ".env", extra="ignore")

    url: str = ""
    token: SecretStr = SecretStr("")
    airflow_url: str = ""
    airflow_user: str = "admin"
    airflow_password: SecretStr = SecretStr("")
    prediction_token: SecretStr = SecretStr("")
    place: str = ""
    public_url: str = ""
    person: str = ""
