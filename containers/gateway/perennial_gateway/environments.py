"""Several environments behind one port: each below its name, with records of its own.

What is asked of `/staging/v1/...` is answered by the gateway of `staging`, which has its own routes, splits
and log; everything else by the gateway of production. So nothing that reads production's log ever meets what
was tried elsewhere.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from starlette.types import ASGIApp, Receive, Scope, Send

PRODUCTION = "production"
PREFIX = "perennial.prefix"
"""In a request's scope: below which path it came, for pages that tell how to call what is there."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
NO_ENVIRONMENT = re.compile(r"public|gateway|information_schema|pg_.*|metrics|healthz|internal")
"""Schemas that production has its records in, PostgreSQL's own, and the gateway's own paths (`v1` means a
version, below); the specification of a model refuses the same names."""
NO_ALIAS = re.compile(r"champion|latest|v[0-9]+")
"""An environment's alias in MLflow has its name; these mean a version there already."""


def require_environment(name: str) -> None:
    """Refuse what is no name of an environment.

    Raises:
        ValueError: It says which names are.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of an environment: at most 31 lowercase letters, digits and _ are "
            "expected, a letter first"
        )
    if NO_ENVIRONMENT.fullmatch(name):
        raise ValueError(
            f"{name!r} is a schema of PostgreSQL or a path of the gateway already and cannot be an "
            "environment; take another name"
        )
    if NO_ALIAS.fullmatch(name):
        raise ValueError(f"{name!r} means a version in MLflow already, so no environment; take another name")


def records_of(url: str, environment: str) -> str:
    """Where an environment has its records: production where the URL says, another one in a file beside that,
    or in PostgreSQL in a schema of its name.

    Raises:
        ValueError: The environment has the name of the database's user, in whose schema production's records
            would be looked for.
    """
    parsed = sa.make_url(url)
    if environment == PRODUCTION:
        return url
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            return url  # in memory every engine has records of its own
        file = Path(parsed.database)
        return str(parsed.set(database=str(file.with_name(f"{file.stem}-{environment}{file.suffix}"))))
    if environment == parsed.username:
        raise ValueError(
            f"{environment!r} is the user of the gateway's database, and PostgreSQL looks for production's "
            "records in a schema of that name; take another name for the environment, or another user"
        )
    own = parsed.update_query_dict({"options": f"-csearch_path={environment}"})
    return own.render_as_string(hide_password=False)


def schema_of(url: str) -> str | None:
    """The schema that `records_of` put an environment's records into; None for the database's usual one."""
    options = sa.make_url(url).query.get("options", "")
    found = re.fullmatch(rf"-csearch_path=({NAME.pattern})", options if isinstance(options, str) else "")
    return found[1] if found else None


class ByEnvironment:
    """Plain ASGI in front of the gateways of one process: the first part of a path may name one."""

    def __init__(self, production: ASGIApp, others: Mapping[str, ASGIApp]) -> None:
        self._production = production
        self._others = dict(others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            name, slash, rest = scope["path"][1:].partition("/")
            other = self._others.get(name)
            if other is not None:
                below = {**scope, "path": slash + rest or "/", "raw_path": None, PREFIX: f"/{name}"}
                await other(below, receive, send)
                return
        await self._production(scope, receive, send)
