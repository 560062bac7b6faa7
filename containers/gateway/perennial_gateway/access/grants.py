"""The tokens that were made: a row each, with the hash of the token, never the token itself."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import sqlalchemy as sa
from limits import parse_many
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic import model_validator as whole

from perennial_gateway.access.rate_limit import RateLimit
from perennial_gateway.access.sender import Scope, Sender, scopes_of
from perennial_gateway.database import Text, as_text, now, tokens
from perennial_gateway.takebacks import Time
from perennial_gateway.web import Refused

ID_CHARACTERS = 12
"""Of the hash, by which a token is named where several have the same name."""

ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class Defaults(NamedTuple):
    """What holds for a token that says nothing else: its limit (empty for none), its largest body, and among
    how many processes requests are spread.
    """

    rate: str
    body_bytes: int
    workers: int = 1


class Grant(BaseModel):
    """What a token may do, and until when; `sha256` is all that is known of the token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(min_length=1)
    models: tuple[ModelName, ...] | None = Field(default=None, min_length=1, max_length=100)
    rate: str | None = Field(default=None, max_length=100)
    body_bytes: int | None = Field(default=None, ge=1024, le=64 << 20)
    expires_at: Time | None = None
    made_by: Text = Field(min_length=1, max_length=200)

    @field_validator("rate")
    @classmethod
    def _a_limit(cls, rate: str | None) -> str | None:
        if rate is not None:
            require_limit(rate)
        return rate

    @whole(mode="after")
    def _admin_is_for_all(self) -> "Grant":
        if self.models is not None and Scope.ADMIN in self.scopes:
            raise ValueError("a token with the scope admin cannot be limited to some models")
        return self


def require_limit(text: str) -> None:
    """Refuse a text that `limits` cannot read.

    Raises:
        ValueError: With an example.
    """
    try:
        parse_many(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no limit; an example is 500/minute;20000/day") from error


def grant_of(document: Any) -> Grant:
    """The grant that a request asks for.

    Raises:
        Refused: 422, naming the field.
    """
    try:
        return Grant.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}" for fault in error.errors()
        )
        raise Refused(422, f"This is no token that can be made: {faults}.") from error


class Grants:
    """The table of tokens. Its methods block: call them in a thread."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def mark(self) -> tuple[int, int]:
        """What changes with every change of the table: how many tokens were made, how many revoked.

        Not the newest sequence: on PostgreSQL a smaller one may be committed later.
        """
        counted = sa.select(sa.func.count(), sa.func.count(tokens.c.revoked_at)).select_from(tokens)
        with self._engine.connect() as connection:
            made, revoked = connection.execute(counted).one()
        return int(made), int(revoked)

    def all(self) -> list[dict[str, Any]]:
        """Every token that was ever made, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(tokens.select().order_by(tokens.c.sequence)).mappings().all()
        return [dict(row) for row in rows]

    def make(self, grant: Grant) -> dict[str, Any]:
        """Let a token in; the same once more changes nothing.

        Raises:
            Refused: 409; the token is there already, with other rights.
        """
        row = _row(grant)
        with self._engine.begin() as connection:
            known = connection.execute(tokens.select().where(tokens.c.sha256 == grant.sha256)).mappings()
            found = known.first()
            if found is None:
                connection.execute(tokens.insert().values(**row, made_at=now()))
                return self._found(connection, grant.sha256)
        if any(found[name] != value for name, value in row.items()):
            raise Refused(409, f"This token is there already, as {found['name']!r}, with other rights.")
        return dict(found)

    def revoke(self, token_id: str, revoked_by: str) -> dict[str, Any]:
        """Take a token back, for good; once more changes nothing.

        Raises:
            Refused: 404; no token that was made has this id.
        """
        if len(token_id) < ID_CHARACTERS or set(token_id) - set("0123456789abcdef"):
            raise Refused(404, f"{token_id[:64]!r} is no token's id: `perennial token list` shows them.")
        of_it = tokens.c.sha256.startswith(token_id)
        changed = {"revoked_at": now(), "revoked_by": revoked_by[:200]}
        with self._engine.begin() as connection:
            connection.execute(tokens.update().where(of_it, tokens.c.revoked_at.is_(None)).values(changed))
            found = connection.execute(tokens.select().where(of_it)).mappings().first()
        if found is None:
            raise Refused(404, f"No token that was made has the id {token_id!r}.")
        return dict(found)

    @staticmethod
    def _found(connection: sa.Connection, digest: str) -> dict[str, Any]:
        return dict(connection.execute(tokens.select().where(tokens.c.sha256 == digest)).mappings().one())


def _row(grant: Grant) -> dict[str, Any]:
    return {
        "name": grant.name,
        "sha256": grant.sha256,
        "scopes": " ".join(grant.scopes),
        "models": None if grant.models is None else " ".join(grant.models),
        "rate": grant.rate,
        "body_bytes": grant.body_bytes,
        "expires_at": None if grant.expires_at is None else as_text(grant.expires_at),
        "made_by": grant.made_by,
    }


def sender_of(row: Mapping[str, Any], defaults: Defaults) -> Sender:
    """The holder of a token that was made."""
    rate = defaults.rate if row["rate"] is None else row["rate"]
    ends = row["expires_at"]
    return Sender(
        name=row["name"],
        scopes=scopes_of(row["scopes"].split()),
        models=None if row["models"] is None else frozenset(row["models"].split()),
        body_bytes=row["body_bytes"] or defaults.body_bytes,
        ends_at=math.inf if ends is None else datetime.fromisoformat(ends).timestamp(),
        revoked=row["revoked_at"] is not None,
        rate=RateLimit(rate, defaults.workers) if rate else None,
    )


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A token as `perennial token list` is told of it."""
    kept = ("name", "rate", "body_bytes", "expires_at", "made_at", "made_by", "revoked_at", "revoked_by")
    return {
        "id": row["sha256"][:ID_CHARACTERS],
        "scopes": row["scopes"].split(),
        "models": None if row["models"] is None else row["models"].split(),
        **{name: row[name] for name in kept},
    }
