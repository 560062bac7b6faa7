"""Where tokens are made and revoked; `perennial token` asks here, and keeps in the ledger who did it and why.

With the platform's own token alone: who holds a token with the scope `admin` cannot make others.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perennial_gateway.access.directory import OF_STEPS, Directory
from perennial_gateway.access.grants import Grants, grant_of, shown
from perennial_gateway.access.sender import OF_USERS
from perennial_gateway.tokens import Token
from perennial_gateway.web import Json, Refused, json_of


class ForTokens:
    """The tokens that were made, and those of the setting, which are changed there."""

    def __init__(self, grants: Grants, directory: Directory, named: Sequence[Token]) -> None:
        self._grants = grants
        self._directory = directory
        self._named = named

    def paths(self) -> list[Route]:
        return [
            Route("/tokens", self.tokens, methods=["GET", "POST"]),
            Route("/tokens/{token_id}", self.revoke, methods=["DELETE"]),
        ]

    async def tokens(self, request: Request) -> Response:
        """List the tokens, or make one; the same one again changes nothing."""
        _require_steps(request)
        if request.method == "GET":
            rows = await asyncio.to_thread(self._grants.all)
            return Json(
                {"tokens": [shown(row) for row in rows] + [_of_setting(each) for each in self._named]}
            )
        grant = grant_of(await json_of(request))
        made = await asyncio.to_thread(self._grants.make, grant)
        await asyncio.to_thread(self._directory.load)
        return Json(shown(made), 201)

    async def revoke(self, request: Request) -> Response:
        _require_steps(request)
        by = request.query_params.get("by", "")
        if not by or "\0" in by:
            raise Refused(422, "Say who revokes the token: ?by=<name>.")
        revoked = await asyncio.to_thread(self._grants.revoke, request.path_params["token_id"], by)
        await asyncio.to_thread(self._directory.load)
        return Json(shown(revoked))


def _require_steps(request: Request) -> None:
    if OF_STEPS not in request.state.token.scopes:
        message = "Tokens are made and revoked with the platform's own token (PERENNIAL_GATEWAY_TOKEN) alone."
        raise Refused(403, message)


def _of_setting(token: Token) -> dict[str, Any]:
    """A token of PERENNIAL_PREDICTION_TOKENS; it has no id, for it is revoked where it is set."""
    nothing = dict.fromkeys(
        ("models", "rate", "body_bytes", "expires_at", "made_at", "revoked_at", "revoked_by")
    )
    scopes = sorted(OF_USERS)
    return {
        "id": None,
        "name": token.name,
        "scopes": scopes,
        "made_by": "PERENNIAL_PREDICTION_TOKENS",
        **nothing,
    }
