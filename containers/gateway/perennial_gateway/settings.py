"""The gateway's settings, from the environment (`PERENNIAL_...`)."""

from pathlib import Path

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """Where the gateway listens, keeps its records and finds the backend.

    Attributes:
        gateway_token: What an internal request must bear; it may not be empty, or everybody could move a
            route.
        gateway_database_url: SQLAlchemy URL of routes, predictions and labels. One gateway process writes to
            it.
        torchserve_inference_url: TorchServe's inference address.
        torchserve_key_file: The key_file.json that TorchServe writes at every start.
    """

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", extra="ignore")

    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8000
    gateway_token: SecretStr
    gateway_database_url: str
    torchserve_inference_url: str
    torchserve_key_file: Path

    @field_validator("gateway_token")
    @classmethod
    def _not_empty(cls, token: SecretStr) -> SecretStr:
        if len(token.get_secret_value()) < 16:
            raise ValueError(
                "at least 16 characters are expected; set PERENNIAL_GATEWAY_TOKEN to a random string"
            )
        return token
