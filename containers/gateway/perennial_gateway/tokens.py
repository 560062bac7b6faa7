"""Who sends a request: named bearer tokens, of which only the hashes are kept.

A token is a random text of `FEWEST_CHARACTERS` or more, so that its SHA-256 cannot be turned back into it;
a slow hash, as passwords need, would protect nothing more.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from perennial_gateway.web import Refused

FEWEST_CHARACTERS = 16
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
HASHED = re.compile(r"sha256:([0-9a-f]{64})")
CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Token(NamedTuple):
    """Whose token it is, and its SHA-256. While a token is being changed, two have the same name."""

    name: str
    sha256: bytes


def sha256_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Read `name=token,name=sha256:<64 hexadecimal digits>`.

    Raises:
        ValueError: An entry is not of this form, its name or its token is too short, or one token has two
            names. No message shows a token.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    tokens = tuple(_parse(number, entry) for number, entry in enumerate(entries, 1))
    names = {token.sha256: token.name for token in tokens}
    for token in tokens:
        if names[token.sha256] != token.name:
            raise ValueError(
                f"{token.name!r} and {names[token.sha256]!r} have the same token; give each its own"
            )
    return tokens


def _parse(number: int, entry: str) -> Token:
    name, given, token = entry.partition("=")
    if not given or not NAME.fullmatch(name):
        raise ValueError(
            f"entry {number} is not name=token with a name of lower-case letters, digits and _ . - "
            "(at most 63 characters); separate entries by commas"
        )
    if hashed := HASHED.fullmatch(token):
        return Token(name, bytes.fromhex(hashed[1]))
    if token.startswith("sha256:"):
        raise ValueError(f"the hash of {name!r} is not sha256: and 64 hexadecimal digits in lower case")
    if len(token) < FEWEST_CHARACTERS:
        raise ValueError(f"the token of {name!r} is shorter than {FEWEST_CHARACTERS} characters")
    return Token(name, sha256_of(token))


class Guard:
    """Lets pass what bears one of the tokens, and says who it is in `request.state.sender`.

    It stands before a whole branch of paths, so that an address which is added there later is guarded too.
    Without any token everybody passes, and the sender is None.
    """

    def __init__(self, app: ASGIApp, tokens: Sequence[Token], advice: str) -> None:
        self._app = app
        self._tokens = tokens
        self._advice = advice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["sender"] = self.sender_of(dict(scope["headers"]))
        await self._app(scope, receive, send)

    def sender_of(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Whose token a request bears; None where none is asked for.

        Raises:
            Refused: 401; it bears none that is known.
        """
        if not self._tokens:
            return None
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refused(401, f"The request bears no token. {self._advice}", headers=CHALLENGE)
        sender = self._name_of(token.strip())
        if sender is None:
            raise Refused(401, f"The token is not known here. {self._advice}", headers=CHALLENGE)
        return sender

    def _name_of(self, token: str) -> str | None:
        """Whose token it is; every one is compared, in constant time, so that the time tells nothing."""
        digest = sha256_of(token)
        found = [known.name for known in self._tokens if hmac.compare_digest(known.sha256, digest)]
        return found[0] if found else None
