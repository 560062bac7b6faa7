"""Who sends a request and what that token may do: plain data, looked up by the token's SHA-256."""

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from perennial_gateway.access.rate_limit import RateLimit


class Scope(StrEnum):
    """What a token may do."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    READ = "read"
    ADMIN = "admin"


OF_USERS = frozenset({Scope.PREDICT, Scope.FEEDBACK, Scope.READ})
DOES = {
    Scope.PREDICT: "ask for predictions",
    Scope.FEEDBACK: "send labels",
    Scope.READ: "read predictions and statistics",
    Scope.ADMIN: "use what is below /internal",
}


class Sender(NamedTuple):
    """A token's holder.

    Attributes:
        name: As the log calls them; None where no token is asked for.
        models: The models that the token is for; None for all.
        body_bytes: The largest body that is read of them.
        ends_at: When the token ends, in seconds since 1970; infinity for never.
        revoked: Somebody has taken the token back.
        rate: How often they may ask; None for as often as they like.
    """

    name: str | None
    scopes: frozenset[str]
    models: frozenset[str] | None
    body_bytes: int
    ends_at: float = math.inf
    revoked: bool = False
    rate: RateLimit | None = None


def scopes_of(named: Iterable[str]) -> frozenset[str]:
    """The scopes that a token has; `admin` may do all that the others may."""
    scopes = frozenset(Scope(name) for name in named)
    return scopes | OF_USERS if Scope.ADMIN in scopes else scopes
