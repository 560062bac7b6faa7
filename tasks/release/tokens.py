"""Let somebody in at the gateway, or no longer: in the ledger first, with the rights and never the token."""

import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from pydantic import ValidationError

from tasks.contracts import Action, KnownToken, TokenGrant
from tasks.errors import InvalidRequest, NotFound
from tasks.ledger import entries
from tasks.serving.tokens import Tokens

PREFIX = "perennial_"
"""By which a token is found where it must not be: in a log, or in a repository."""
RANDOM_BYTES = 32
A_PERSON_WAITS = 3
"""How often a person's first call is repeated, over a second and a half, where no gateway answers."""


class Rights(NamedTuple):
    """What a token is made for; as `TokenGrant` has it.

    Attributes:
        days: After how many days it ends; None for never.
    """

    scopes: tuple[str, ...]
    models: tuple[str, ...] | None = None
    days: float | None = None
    rate: str | None = None
    body_bytes: int | None = None


class Made(NamedTuple):
    """A token that was made: the only place where it is told.

    Attributes:
        is_first: Whether there was none before, so that a gateway on loopback let everybody in until now.
    """

    token: str
    known: KnownToken
    is_first: bool


def make_token(name: str, rights: Rights, *, actor: str, why: str) -> Made:
    """Make a random token, of which the gateway gets the hash alone.

    Raises:
        InvalidRequest: There can be no such token.
        ServingError: The gateway does not answer.
        LedgerBroken: The decision cannot be recorded.
    """
    token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    grant = _grant(name, sha256(token.encode()).hexdigest(), rights)
    # Before the ledger says that a token is made: the gateway must be there to make it.
    is_first = not Tokens(retries=A_PERSON_WAITS).known()
    entry = entries.record(
        model=_about(name),
        actor=actor,
        action=Action.TOKEN,
        before=None,
        after="made",
        why=why,
        evidence={"token": grant},
    )
    made = Made(token, Tokens().make(grant, actor), is_first)
    entries.complete(entry, f"The gateway lets the token {grant.sha256[:12]} of {name} in.")
    return made


def revoke_token(name: str, *, actor: str, why: str, token_id: str | None = None) -> list[KnownToken]:
    """Take a name's tokens back, or the one of them that `token_id` names: none passes a second later.

    Raises:
        NotFound: There is no such token that could be revoked.
        ServingError: The gateway does not answer.
        LedgerBroken: The decision cannot be recorded.
    """
    known = Tokens(retries=A_PERSON_WAITS).known()
    return [_revoke(Tokens(), each, actor, why) for each in _meant(known, name, token_id)]


def _revoke(tokens: Tokens, token: KnownToken, actor: str, why: str) -> KnownToken:
    entry = entries.record(
        model=_about(token.name),
        actor=actor,
        action=Action.TOKEN,
        before="made",
        after="revoked",
        why=why,
        evidence={"token": token},
    )
    revoked = tokens.revoke(str(token.id), actor)
    entries.complete(entry, f"The gateway lets the token {token.id} of {token.name} in no more.")
    return revoked


def _meant(known: list[KnownToken], name: str, token_id: str | None) -> list[KnownToken]:
    of_name = [each for each in known if each.name == name and each.revoked_at is None]
    if not of_name:
        raise NotFound(f"No token of {name!r} lets anybody in. `perennial token list` shows those that do.")
    found = [each for each in of_name if each.id and each.id == (token_id or each.id)]
    if found:
        return found
    if token_id:
        raise NotFound(f"No token of {name!r} has the id {token_id!r}; `perennial token list` shows them.")
    raise NotFound(
        f"The token of {name!r} stands in PERENNIAL_PREDICTION_TOKENS. Remove it there, and restart the "
        "gateway."
    )


def _grant(name: str, digest: str, rights: Rights) -> TokenGrant:
    ends = None if rights.days is None else datetime.now(UTC) + timedelta(days=rights.days)
    if rights.models and "admin" in rights.scopes:
        raise InvalidRequest("A token with the scope admin cannot be limited to some models. Make two.")
    try:
        named = rights._asdict() | {"name": name, "sha256": digest, "expires_at": ends}
        return TokenGrant.model_validate({field: named[field] for field in named if field != "days"})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InvalidRequest(f"There can be no such token: {faults}.") from error


def _about(name: str) -> str:
    """Whom an entry on a token is about, as `perennial ledger` finds it."""
    return f"token:{name}"
