"""The gateway's settings, from the environment (`PERENNIAL_...`)."""

import ipaddress
import tempfile
from pathlib import Path
from typing import Literal, Self

from limits import parse_many
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url

from perennial_gateway.tokens import FEWEST_CHARACTERS, Token, parse_tokens, sha256_of


class GatewaySettings(BaseSettings):
    """Where the gateway listens, whom it answers, where it keeps its records and finds the backend.

    Attributes:
        gateway_host: The address to listen on. Beyond loopback, `prediction_tokens` have to be set.
        gateway_workers: Processes that answer on the one port; each takes a core under load, and some 60 MB.
        gateway_token: What an internal request must bear; it may not be empty, or everybody could move a
            route.
        prediction_tokens: Who may ask for predictions and send labels: `name=token`, comma-separated, or
            `name=sha256:<hash>` where the token itself is not to stand. Empty: everybody on this machine.
        feedback_limit: How many labels each token may send, such as `500/minute;20000/day`.
        gateway_database_url: SQLAlchemy URL of routes, predictions and labels; several processes, on several
            machines, may share it.
        log_spool: The folder in which predictions are kept until the database has taken them; one that
            outlives the process, and that all processes of one database on this machine share. None for one
            beside an SQLite database, else in the folder for temporary files.
        log_spool_bytes: How much is kept there by each process; then requests are refused until the database
            answers again.
        log_durability: What an answered prediction survives: the end of any `process`, or a `power` cut, too,
            for which each answer waits until its row is on disk.
        torchserve_inference_url: TorchServe's inference address.
        torchserve_key_file: The key_file.json that TorchServe writes at every start.
    """

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", extra="ignore")

    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8000
    gateway_workers: int = Field(default=1, ge=1, le=64)
    gateway_token: SecretStr
    prediction_tokens: SecretStr = SecretStr("")
    feedback_limit: str = "20000/hour"
    gateway_database_url: str
    log_spool: Path | None = None
    log_spool_bytes: int = Field(default=1 << 30, ge=1 << 20)
    log_durability: Literal["process", "power"] = "process"
    torchserve_inference_url: str
    torchserve_key_file: Path

    @field_validator("gateway_token")
    @classmethod
    def _not_empty(cls, token: SecretStr) -> SecretStr:
        if len(token.get_secret_value()) < FEWEST_CHARACTERS:
            raise ValueError(
                f"at least {FEWEST_CHARACTERS} characters are expected; set it to a random string"
            )
        return token

    @field_validator("prediction_tokens")
    @classmethod
    def _readable(cls, tokens: SecretStr) -> SecretStr:
        parse_tokens(tokens.get_secret_value())
        return tokens

    @field_validator("feedback_limit")
    @classmethod
    def _a_limit(cls, text: str) -> str:
        try:
            parse_many(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is no limit; an example is 500/minute;20000/day") from error
        return text

    @model_validator(mode="after")
    def _closed_beyond_loopback(self) -> Self:
        if not self.users and not is_loopback(self.gateway_host):
            raise ValueError(
                f"Others can reach {self.gateway_host}, and no token is set, so everybody could ask and send "
                "labels. Set PERENNIAL_PREDICTION_TOKENS to name=token (a token: `openssl rand -hex 24`), "
                "or PERENNIAL_GATEWAY_HOST to 127.0.0.1"
            )
        if self.steps.sha256 in {user.sha256 for user in self.users}:
            raise ValueError("PERENNIAL_GATEWAY_TOKEN moves routes and may not be a prediction token too")
        return self

    @property
    def spool(self) -> Path:
        """The folder of the log's spools."""
        if self.log_spool is not None:
            return self.log_spool
        url = make_url(self.gateway_database_url)
        if url.get_backend_name() == "sqlite" and url.database:
            return Path(f"{url.database}.spool")
        return Path(tempfile.gettempdir()) / "perennial-gateway-spool"

    @property
    def users(self) -> tuple[Token, ...]:
        return parse_tokens(self.prediction_tokens.get_secret_value())

    @property
    def steps(self) -> Token:
        return Token("steps", sha256_of(self.gateway_token.get_secret_value()))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; of a name but `localhost` that is not known."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
