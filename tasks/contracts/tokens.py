"""The tokens of the gateway: what one may do, and what is told of it. A token itself is in no contract."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from tasks.contracts.contract import Contract

Scope = Literal["predict", "feedback", "read", "admin"]
RATE = r"^[1-9]\d{0,8}/(second|minute|hour|day)(;[1-9]\d{0,8}/(second|minute|hour|day))*$"
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class TokenGrant(Contract):
    """What a token may do, for which models (None for all), and until when (None for ever).

    Attributes:
        name: Of its holder, as the log of predictions and labels has it.
        sha256: Of the token, all that is kept of it; in hexadecimal digits.
        rate: How often it may ask, such as `100/second;20000/day`; None for the gateway's own setting.
        body_bytes: The largest body that is read of it; None for the gateway's own setting.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(min_length=1)
    models: tuple[ModelName, ...] | None = None
    rate: str | None = Field(default=None, max_length=100, pattern=RATE)
    body_bytes: int | None = Field(default=None, ge=1024, le=64 << 20)
    expires_at: AwareDatetime | None = None


class KnownToken(Contract):
    """A token that the gateway knows.

    Attributes:
        id: The beginning of its hash; None for one of PERENNIAL_PREDICTION_TOKENS, which is revoked there.
    """

    id: str | None
    name: str
    scopes: tuple[Scope, ...]
    models: tuple[str, ...] | None
    rate: str | None
    body_bytes: int | None
    expires_at: AwareDatetime | None
    made_at: AwareDatetime | None
    made_by: str
    revoked_at: AwareDatetime | None
    revoked_by: str | None
