"""Files that only this user may read: the platform's secrets, made once and kept."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file whole, readable by its owner alone from its first byte."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


@dataclass(frozen=True)
class Credentials:
    """The login of a service's pages and REST API."""

    username: str
    password: str


@dataclass(frozen=True)
class Secrets:
    """What the services prove themselves with.

    Attributes:
        airflow_password: Of the user `admin` in Airflow's pages.
        airflow_fernet_key: Encrypts connections in Airflow's database; 32 bytes, URL-safe base64.
        airflow_jwt_secret: Signs Airflow's tokens; at least 64 bytes, below which HMAC-SHA512 warns.
        gateway_token: Bearer token of the gateway's internal requests.
        mlflow_password: Of the user `admin` in MLflow's pages.
        ledger_key: What the ledger's heads are signed with, an Ed25519 private key of 64 hexadecimal digits.
        mlflow_key: What the passwords are derived from with which the steps log in to MLflow.
    """

    airflow_password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    airflow_fernet_key: str = field(
        default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    )
    airflow_jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(72))
    airflow_secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    gateway_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    ledger_key: str = field(default_factory=lambda: secrets.token_hex(32))
    mlflow_password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    mlflow_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @classmethod
    def of(cls, home: Path) -> "Secrets":
        """Those of home/secrets.json, made at the first start."""
        file = home / "secrets.json"
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        made = cls(**kept)
        if asdict(made) != kept:
            write_private(file, json.dumps(asdict(made), indent=2))
        return made
