"""All tokens that are known, in memory: those of the setting, and those that were made.

Several gateway processes may share a database: each looks every `LOOK_SECONDS` whether a token was made or
revoked, whichever process did it. While the database does not answer, what was known last holds; nothing
can be revoked then either.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from perennial_gateway.access.grants import Defaults, Grants, sender_of
from perennial_gateway.access.rate_limit import RateLimit
from perennial_gateway.access.sender import OF_USERS, Sender
from perennial_gateway.tokens import Token
from perennial_gateway.web import BODY_BYTES

LOOK_SECONDS = 0.4
OF_STEPS = "steps"
"""What the platform's own steps alone may do: make tokens. Who holds a token cannot make others."""

logger = logging.getLogger("perennial_gateway.access")


class Directory:
    """Whose tokens are known.

    Args:
        named: The tokens of the setting: for every model, and for all but `admin`.
        open_without: Whether everybody may ask where no token was ever made or named: on loopback alone. A
            token that was revoked still counts, so that taking the last one back opens nothing.
    """

    def __init__(
        self, grants: Grants, named: Sequence[Token], defaults: Defaults, *, open_without: bool
    ) -> None:
        self._grants = grants
        self._defaults = defaults
        self._open_without = open_without
        self._named = {token.sha256: self._of_setting(token.name) for token in named}
        self._everybody = self._of_setting(None)
        self._made: dict[bytes, Sender] = {}
        self._mark: tuple[int, int] | None = None
        self._away = False
        self._loading = threading.Lock()

    @property
    def everybody(self) -> Sender | None:
        asked = self._made or self._named or not self._open_without
        return None if asked else self._everybody

    @property
    def is_empty(self) -> bool:
        """Whether no token could let anybody pass."""
        return not self._named and all(sender.revoked for sender in self._made.values())

    def find(self, digest: bytes) -> Sender | None:
        return self._named.get(digest) or self._made.get(digest)

    def load(self) -> None:
        """Read the tokens if there are others than last time. It blocks: call it in a thread."""
        with self._loading:
            mark = self._grants.mark()
            if mark != self._mark:
                rows = self._grants.all()
                self._made = {bytes.fromhex(row["sha256"]): self._sender(row) for row in rows}
                self._mark = mark

    async def follow(self) -> None:
        """See what others change, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.load)
                self._away = False
            except sa.exc.SQLAlchemyError as error:
                if not self._away:
                    logger.warning("The tokens cannot be read; those that were known hold: %s", error)
                self._away = True

    def _sender(self, row: Mapping[str, Any]) -> Sender:
        """A token's holder; what they have sent already counts on."""
        before = self._made.get(bytes.fromhex(row["sha256"]))
        made = sender_of(row, self._defaults)
        same = before and before.rate and made.rate and before.rate.text == made.rate.text
        return made._replace(rate=before.rate) if before and same else made

    def _of_setting(self, name: str | None) -> Sender:
        rate = self._defaults.rate
        limit = RateLimit(rate, self._defaults.workers) if rate else None
        return Sender(name, OF_USERS, None, self._defaults.body_bytes, rate=limit)


class Operators:
    """Who may use what is below /internal: the platform's own steps, and made tokens with `admin`."""

    everybody = None

    def __init__(self, steps: Token, directory: Directory) -> None:
        self._steps = steps.sha256
        self._directory = directory
        self._sender = Sender(steps.name, OF_USERS | {"admin", OF_STEPS}, None, BODY_BYTES)

    def find(self, digest: bytes) -> Sender | None:
        return self._sender if digest == self._steps else self._directory.find(digest)
