"""The gateway's settings, from the environment (`PERENNIAL_...`)."""

import ipaddress
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url

from perennial_gateway.access.grants import Defaults, require_limit
from perennial_gateway.environments import PRODUCTION, records_of, require_environment
from perennial_gateway.tokens import FEWEST_CHARACTERS, Token, parse_tokens, sha256_of
from perennial_gateway.web import BODY_BYTES


class GatewaySettings(BaseSettings):
    """Where the gateway listens, whom it answers, where it keeps its records and finds the backend.

    Attributes:
        gateway_host: The address to listen on. Beyond loopback there has to be a token, in
            `prediction_tokens` or made by `perennial token make`.
        gateway_workers: Processes that answer on the one port; each takes a core under load and some 60 MB,
            and counts its part of a limit.
        gateway_token: What an internal request must bear; it may not be empty, or everybody could move a
            route.
        prediction_tokens: Who may ask for predictions and send labels: `name=token`, comma-separated, or
            `name=sha256:<hash>` where the token itself is not to stand. Empty: everybody on this machine.
        feedback_limit: How many labels each token may send, such as `500/minute;20000/day`.
        rate_limit: How many requests each token may send that was made without a limit of its own; empty
            for as many as it likes.
        body_bytes: The largest body that is read of a token that was made without a limit of its own.
        user_page: Whether each model has a page on which people ask it, and answers are explained.
        gateway_database_url: SQLAlchemy URL of routes, predictions and labels; several processes, on several
            machines, may share it.
        log_spool: The folder in which predictions are kept until the database has taken them; one that
            outlives the process, and that all processes of one database on this machine share. None for one
            beside an SQLite database, else for one of this database's in the folder for temporary files.
        log_spool_bytes: How much is kept there by each process; then requests are refused until the database
            answers again.
        log_durability: What an answered prediction survives: the end of any `process`, or a `power` cut, too,
            for which each answer waits until its row is on disk.
        torchserve_inference_url: TorchServe's inference address; of several servers comma-separated. Empty
            where there is none.
        torchserve_key_file: The key_file.json that TorchServe writes at every start; of several servers
            comma-separated, in the same order.
        oip_url: The address of a server of the Open Inference Protocol v2; of several, which share their
            tokens, comma-separated. Empty where there is none.
        oip_key_file: The file of its tokens.
        gateway_environment: Which environment this gateway is of; `production` has the database as it is,
            every other one records of its own in it, or beside it.
        release_environments: The environments before production, comma-separated, in order. Those without an
            address of their own (`staging`, not `staging=http://...`) answer here, too, below their names.
    """

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", extra="ignore")

    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8000
    gateway_token: SecretStr
    prediction_tokens: SecretStr = SecretStr("")
    feedback_limit: str = "20000/hour"
    rate_limit: str = ""
    body_bytes: int = Field(default=BODY_BYTES, ge=1024, le=64 << 20)
    gateway_workers: int = Field(default=1, ge=1, le=64)
    user_page: bool = True
    gateway_database_url: str
    log_spool: Path | None = None
    log_spool_bytes: int = Field(default=1 << 30, ge=1 << 20)
    log_durability: Literal["process", "power"] = "process"
    torchserve_inference_url: str = ""
    torchserve_key_file: str = ""
    oip_url: str = ""
    oip_key_file: Path = Path("key_file.json")
    gateway_environment: str = PRODUCTION
    release_environments: str = ""

    @field_validator("gateway_environment")
    @classmethod
    def _a_name(cls, name: str) -> str:
        require_environment(name)
        return name

    @field_validator("release_environments")
    @classmethod
    def _names(cls, text: str) -> str:
        for name in _without_addresses(text):
            require_environment(name)
            if name == PRODUCTION:
                raise ValueError("production comes last by itself; name the environments before it")
        return text

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
        require_limit(text)
        return text

    @field_validator("rate_limit")
    @classmethod
    def _a_limit_or_none(cls, text: str) -> str:
        if text.strip():
            require_limit(text)
        return text.strip()

    @model_validator(mode="after")
    def _two_kinds_of_tokens(self) -> Self:
        if self.steps.sha256 in {user.sha256 for user in self.users}:
            raise ValueError("PERENNIAL_GATEWAY_TOKEN moves routes and may not be a prediction token too")
        return self

    @model_validator(mode="after")
    def _with_a_backend(self) -> Self:
        urls, files = separated(self.torchserve_inference_url), separated(self.torchserve_key_file)
        if not urls and not self.oip_urls:
            raise ValueError("Set PERENNIAL_TORCHSERVE_INFERENCE_URL or PERENNIAL_OIP_URL")
        if len(urls) != len(files):
            raise ValueError(
                f"PERENNIAL_TORCHSERVE_INFERENCE_URL names {len(urls)} servers and "
                f"PERENNIAL_TORCHSERVE_KEY_FILE {len(files)} files. Name one file for each, in the same order"
            )
        return self

    @property
    def torchserves(self) -> list[tuple[str, Path]]:
        """The address and the key file of each TorchServe."""
        files = map(Path, separated(self.torchserve_key_file))
        return list(zip(separated(self.torchserve_inference_url), files, strict=True))

    @property
    def oip_urls(self) -> list[str]:
        return separated(self.oip_url)

    @property
    def database(self) -> str:
        """The URL of this environment's records."""
        return records_of(self.gateway_database_url, self.gateway_environment)

    @property
    def beside(self) -> list["GatewaySettings"]:
        """Those of the environments that answer here, too, below their names."""
        return [
            self.model_copy(update={"gateway_environment": name, "release_environments": ""})
            for name in _without_addresses(self.release_environments)
        ]

    @property
    def spool(self) -> Path:
        """The folder of the log's spools."""
        if self.log_spool is not None:
            is_first = self.gateway_environment == PRODUCTION
            return self.log_spool if is_first else self.log_spool / self.gateway_environment
        url = make_url(self.database)
        if url.get_backend_name() == "sqlite" and url.database:
            return Path(url.database).with_suffix(".spool")
        of_database = sha256(url.set(password=None).render_as_string().encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"perennial-gateway-spool-{of_database}"

    def make_spool(self) -> Path:
        """The folder of the log's spools, there now. Where nobody named one, it is for this user alone.

        Raises:
            UnsafeFolder: Somebody else made it, who could read what is logged there.
        """
        self.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.spool.lstat().st_uid
        if self.log_spool is None and owner != os.geteuid():
            raise UnsafeFolder(
                f"{self.spool} belongs to another user (uid {owner}), and what is predicted would be kept "
                "there. Set PERENNIAL_LOG_SPOOL to a folder of the gateway's own"
            )
        return self.spool

    @property
    def users(self) -> tuple[Token, ...]:
        return parse_tokens(self.prediction_tokens.get_secret_value())

    @property
    def defaults(self) -> Defaults:
        """What holds for a token that says nothing else."""
        return Defaults(self.rate_limit, self.body_bytes, self.gateway_workers)

    @property
    def steps(self) -> Token:
        return Token("steps", sha256_of(self.gateway_token.get_secret_value()))


def separated(text: str) -> list[str]:
    """The entries of a comma-separated setting."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _without_addresses(environments: str) -> list[str]:
    return [each for each in separated(environments) if "=" not in each]


class Unguarded(ValueError):
    """A gateway that others could reach and that would ask nobody for a token."""


class UnsafeFolder(ValueError):
    """A folder of the gateway's that is somebody else's."""


def require_guarded(settings: GatewaySettings, *, no_tokens: bool) -> None:
    """Refuse to listen where others can reach the gateway while no token lets anybody pass.

    Raises:
        Unguarded: It says how to get one.
    """
    if no_tokens and not is_loopback(settings.gateway_host):
        raise Unguarded(
            f"Others can reach {settings.gateway_host}, and no token is set, so everybody could ask and send "
            "labels. Set PERENNIAL_PREDICTION_TOKENS to name=token (a token: `openssl rand -hex 24`), or "
            "make one with `perennial token make` while PERENNIAL_GATEWAY_HOST is 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; of a name but `localhost` that is not known."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
