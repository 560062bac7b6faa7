"""The tokens that the setting names, of which only the hashes are kept.

A token is a random text of `FEWEST_CHARACTERS` or more, so that its SHA-256 cannot be turned back into it;
a slow hash, as passwords need, would protect nothing more.
"""

import hashlib
import re
from typing import NamedTuple

FEWEST_CHARACTERS = 16
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
HASHED = re.compile(r"sha256:([0-9a-f]{64})")


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
