"""The HTTP service: ask the policy, ask the engine whose
container it is, and pass the engine's answer on as it comes.
"""

import asyncio
import logging
from typing import Any
from urllib.parse import quote

from aiohttp import web

from perennial_engine import body, policy
from perennial_engine.policy import Asked
from perennial_engine.rules import NoRoom, Refused, Rules
from perennial_engine.upstream import Engine, EngineUnreachable

logger = logging.getLogger("perennial_engine")

BODY_BYTES = 1 << 20
BODY_SECONDS = 30
CHUNK_BYTES = 1 << 16
PASSED_ON = ("Content-Type", "Api-Version", "Docker-Experimental", "Ostype")
CHANGES = frozenset({"create", "start", "kill", "stop", "remove", "pull"})


class Proxy:
    """Answers one request after the other; the engine keeps all state."""

    def __init__(self, rules: Rules, engine: Engine) -> None:
        self._rules = rules
        self._engine = engine

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, whatever its path."""
        line = f"{request.method} {request.raw_path[:300]!r}"
        try:
            asked = policy.read_request(request.method, request.raw_path, self._rules)
            return await self._answer(request, asked)
        except Refused as refused:
            logger.warning("refused to %s: %s: %s", request.remote, line, refused)
            return _message(refused.status, str(refused))
        except EngineUnreachable as error:
            logger.warning("%s for %s: %s", line, request.remote, error)
            return _message(502, str(error))

    async def _answer(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        content = await _content(request, asked)
        match asked.route.name:
            case "create":
                content = body.check(content, self._rules)
                await self._require_room(asked)
                return await self._forward(request, asked, "/containers/create", content)
            case "list":
                return await self._list(asked)
            case "image":
                return await self._forward(request, asked, f"/images/{quote(asked.subject, safe='/:@')}/json")
            case _ if asked.route.of_container:
                return await self._on_container(request, asked)
        return await self._forward(request, asked, asked.route.forwarded)

    async def _on_container(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        """By its id, not by the name that was given: a name may meanwhile belong to another container."""
        status, found = await self._engine.read(f"{asked.version}/containers/{asked.subject}/json", {})
        if status != 200:
            return web.json_response(found, status=status)
        if not policy.is_ours(found["Config"]["Labels"], self._rules):
            raise Refused(
                f"The container {asked.subject!r} is not a step of the installation "
                f"{self._rules.installation!r}."
            )
        return await self._forward(request, asked, f"/containers/{found['Id']}{asked.route.forwarded}")

    async def _require_room(self, asked: Asked) -> None:
        query = {"all": "1", "filters": policy.our_filters("", self._rules)}
        status, found = await self._engine.read(f"{asked.version}/containers/json", query)
        if status != 200:
            raise EngineUnreachable(
                f"The engine answered {status} when it was asked for its containers: {found}"
            )
        if len(found) >= self._rules.containers:
            raise NoRoom(
                f"{len(found)} containers of this installation exist and no more than "
                f"{self._rules.containers} may (PERENNIAL_ENGINE_CONTAINERS). Remove those that nobody needs."
            )

    async def _list(self, asked: Asked) -> web.StreamResponse:
        """Ours alone: by the engine's filter, and in case that
        is read otherwise than we think, by a look at each row.
        """
        query = asked.query | {"filters": policy.our_filters(asked.query.get("filters", ""), self._rules)}
        status, found = await self._engine.read(f"{asked.version}/containers/json", query)
        rows = (
            [row for row in found if policy.is_ours(row["Labels"], self._rules)] if status == 200 else found
        )
        return web.json_response(rows, status=status)

    async def _forward(
        self, request: web.BaseRequest, asked: Asked, path: str, content: bytes | None = None
    ) -> web.StreamResponse:
        if asked.route.name in CHANGES:
            logger.info(
                "%s %s for %s", asked.route.name, asked.query.get("name") or asked.subject, request.remote
            )
        headers = _credentials(request) if asked.route.name == "pull" else {}
        answer = self._engine.ask(
            request.method, asked.version + path, asked.query, body=content, headers=headers
        )
        async with answer as upstream:
            passed_on = {name: upstream.headers[name] for name in PASSED_ON if name in upstream.headers}
            response = web.StreamResponse(status=upstream.status, headers=passed_on)
            await response.prepare(request)
            async for chunk in upstream.content.iter_chunked(CHUNK_BYTES):
                await response.write(chunk)
            await response.write_eof()
            return response


def server(rules: Rules, engine: Engine) -> web.Server:
    """The server: without a router, so that no path is tidied up before the policy sees it.

    A caller that hangs up ends its request to the engine too.
    """
    return web.Server(Proxy(rules, engine).handle, handler_cancellation=True, access_log=None)


async def _content(request: web.BaseRequest, asked: Asked) -> bytes:
    """The body, which only a creation may have.

    Raises:
        Refused: It is too large or too slow, or there should be none.
    """
    if "Upgrade" in request.headers or "Content-Encoding" in request.headers:
        raise Refused("Connections are not upgraded here, and bodies not decompressed.")
    most = BODY_BYTES if asked.route.has_body else 0
    content = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.read(CHUNK_BYTES):
                content += chunk
                if len(content) > most:
                    raise Refused(
                        f"The body is larger than the {most} bytes that {asked.route.name!r} may have."
                    )
    except TimeoutError:
        raise Refused(f"The body was not whole after {BODY_SECONDS} seconds.") from None
    return content


def _credentials(request: web.BaseRequest) -> dict[str, str]:
    value = request.headers.get("X-Registry-Auth")
    return {"X-Registry-Auth": value} if value else {}


def _message(status: int, text: str) -> web.Response:
    body_of_docker: dict[str, Any] = {"message": text}
    return web.json_response(body_of_docker, status=status)
