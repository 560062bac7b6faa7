"""May this request pass? Asked before each one, so that it costs a few microseconds.

A token is a random text whose SHA-256 is looked up in a table: how long the look-up takes tells nothing,
because nobody can choose a text by the first digits of its hash.
"""

import time
from collections.abc import Iterable
from hashlib import sha256
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from perennial_gateway.access.rate_limit import told, wait_seconds
from perennial_gateway.access.sender import DOES, Sender
from perennial_gateway.access.sender import Scope as TokenScope
from perennial_gateway.web import Refused

CHALLENGE = {"WWW-Authenticate": "Bearer"}
Headers = Iterable[tuple[bytes, bytes]]


class Senders(Protocol):
    """Whose tokens are known."""

    @property
    def everybody(self) -> Sender | None:
        """Who sends a request where no token is asked for; None where one is."""

    def find(self, digest: bytes) -> Sender | None:
        """The holder of the token with this SHA-256; None for a token that is not known."""


class Guard:
    """Says who sends a request, or refuses it.

    Args:
        advice: How one gets a token, for who has none.
    """

    def __init__(self, senders: Senders, advice: str) -> None:
        self._senders = senders
        self._advice = advice

    @property
    def asks(self) -> bool:
        """Whether tokens are asked for."""
        return self._senders.everybody is None

    def authorize(self, headers: Headers, scope: str, model: str) -> Sender:
        """Who sends a request, if they may do this with this model; the request is counted.

        Args:
            headers: As ASGI has them: names in lower case.

        Raises:
            Refused: 401 for no token, an unknown one or one that has ended, 403 for one that is not for this,
                429 for more requests than the token may send.
        """
        sender = self.identify(headers)
        permit(sender, scope, model)
        return sender

    def identify(self, headers: Headers) -> Sender:
        """Who sends a request; it is counted.

        Raises:
            Refused: 401 or 429, as `authorize`.
        """
        sender = self.recognize(headers)
        if sender.rate is not None:
            _count(sender)
        return sender

    def recognize(self, headers: Headers) -> Sender:
        """Who sends a request, which is not counted.

        Raises:
            Refused: 401, as `authorize`.
        """
        sender = self._senders.everybody
        return self._bearer(headers) if sender is None else sender

    def _bearer(self, headers: Headers) -> Sender:
        for name, value in headers:
            if name == b"authorization":
                scheme, _, token = value.partition(b" ")
                if scheme.lower() == b"bearer" and (token := token.strip()):
                    return self._known(token)
                break
        raise Refused(401, f"The request bears no token. {self._advice}", headers=CHALLENGE)

    def _known(self, token: bytes) -> Sender:
        sender = self._senders.find(sha256(token).digest())
        if sender is None:
            raise Refused(401, f"The token is not known here. {self._advice}", headers=CHALLENGE)
        if sender.revoked:
            raise Refused(401, f"The token {sender.name!r} was revoked. {self._advice}", headers=CHALLENGE)
        if sender.ends_at <= time.time():
            ended = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(sender.ends_at))
            message = f"The token {sender.name!r} ended at {ended}. {self._advice}"
            raise Refused(401, message, headers=CHALLENGE)
        return sender


def permit(sender: Sender, scope: str, model: str) -> None:
    """Let a sender do something with a model.

    Raises:
        Refused: 403; the token is for other acts or other models.
    """
    if scope not in sender.scopes:
        may = " and ".join(DOES[known] for known in TokenScope if known in sender.scopes)
        sentence = f"The token {sender.name!r} may {may}, but not {DOES[TokenScope(scope)]}"
        raise Refused(403, f"{sentence}. Ask for one with the scope {scope}.")
    require_model(sender, model)


def require_model(sender: Sender, model: str) -> None:
    """Refuse a model that a token is not for.

    Raises:
        Refused: 403.
    """
    if sender.models is not None and model not in sender.models:
        named = ", ".join(sorted(sender.models))
        raise Refused(403, f"The token {sender.name!r} is for {named}, and not for {model[:63]!r}.")


def _count(sender: Sender) -> None:
    """Count a request of a sender that has a limit.

    Raises:
        Refused: 429, with the seconds to wait.
    """
    now = time.monotonic()
    broken = sender.rate.take(now) if sender.rate else None
    if broken is not None:
        seconds = wait_seconds(broken, now)
        whose = "Each sender" if sender.name is None else f"The token {sender.name!r}"
        message = f"{whose} may send {told(broken)}, and this is one more. Send it again in {seconds} s."
        raise Refused(429, message, headers={"Retry-After": str(seconds)})


class Guarded:
    """A branch of paths behind a guard, so that an address which is added there later is guarded too.

    Who sends a request is in `request.state.token`, and the name alone in `request.state.sender`.

    Args:
        scope: What a token must be for; None for any token.
    """

    def __init__(self, app: ASGIApp, guard: Guard, scope: str | None = None) -> None:
        self._app = app
        self._guard = guard
        self._scope = scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = self._guard.identify(scope["headers"])
        if self._scope is not None and self._scope not in sender.scopes:
            permit(sender, self._scope, "")
        scope.setdefault("state", {}).update(token=sender, sender=sender.name)
        await self._app(scope, receive, send)
