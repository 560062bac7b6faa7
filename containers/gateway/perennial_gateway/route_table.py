"""Which version answers for each model: kept in the database, read from memory.

Several processes hold the same table. Whoever changes it commits the change, and each process takes it over
in one step of its event loop (peers.py), so that a request sees old or new.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa

from perennial_gateway.database import NUL, alone, now, routes, splits
from perennial_gateway.environments import PRODUCTION
from perennial_gateway.metrics import label_of
from perennial_gateway.routes import Route, Served, route_of
from perennial_gateway.splits import Chosen, Routing, TrafficSplit
from perennial_gateway.web import Headers, Refused


class Records(NamedTuple):
    """The newest records of every model, as the database has them.

    Attributes:
        newest: The highest sequences of routes and of splits in the database.
        routes: By model; a withdrawn one has no route.
        splits: By model; they hold while the model's newest route has the sequence `after_route`.
    """

    newest: tuple[int, int]
    routes: dict[str, sa.Row[Any]]
    splits: dict[str, sa.Row[Any]]


NEWEST = "SELECT (SELECT max(sequence) FROM routes), (SELECT max(sequence) FROM splits)"

NOTHING = Records((0, 0), {}, {})


class RouteTable:
    """The routes of all models.

    Attributes:
        in_flight: Requests being worked on, by model and backend version; a version at 0 that has no route
            gets no more.
        records: What is in use now.
        spread: Lets a change that is committed take effect, here and in all other processes, and returns when
            it has. Without other processes it is a reading of the database.
    """

    def __init__(self, engine: sa.Engine, environment: str = PRODUCTION) -> None:
        self._engine = engine
        self._environment = environment
        self._routing: dict[str, Routing] = {}
        self._changing = asyncio.Lock()
        self.records = NOTHING
        self.in_flight: Counter[tuple[str, str]] = Counter()
        self.spread: Callable[[], Awaitable[None]] = self._spread_here

    def load(self) -> None:
        """Take over what the database has. It blocks: call it before serving."""
        self.use(*self.read())

    def read(self) -> tuple[Records, dict[str, Routing]]:
        """What the database has, ready to be used. It blocks: call it in a thread.

        A version whose route has not changed keeps its object, and with it what waits for its backend.
        """
        with self._engine.connect() as connection:
            records = read_records(connection)
        known = {
            served.route.model_dump_json(): served
            for routing in self._routing.values()
            for served in routing.versions()
        }
        return records, {
            model: routing
            for model, row in records.routes.items()
            if (routing := self._routing_of(row, records.splits.get(model), known)) is not None
        }

    def use(self, records: Records, routing: dict[str, Routing]) -> None:
        """From the next request on, in one step; call it in the event loop."""
        self.records, self._routing = records, routing

    def __contains__(self, model: str) -> bool:
        return model in self._routing

    def names(self) -> list[str]:
        return sorted(self._routing)

    def label(self, model: str) -> str:
        """What the metrics call a model that is served here; nothing for any other."""
        return label_of(self._environment, model) if model in self._routing else ""

    def served(self, model: str) -> Served:
        """The stable version of a model; raises as `routing`."""
        return self.routing(model).stable

    def choose(self, model: str, sender: str | None, headers: Headers) -> Chosen:
        """Which version answers a request, and which gets a copy.

        Args:
            sender: The name of the token that it bears.
            headers: As ASGI has them: names in lower case.

        Raises:
            Refused: 404; the model is not served, or not by the version that the caller names.
        """
        routing = self._routing.get(model)
        return (routing or self.routing(model)).choose(sender, headers)

    def routing(self, model: str) -> Routing:
        """Where a model's requests go now.

        Raises:
            Refused: 404, naming the models that are.
        """
        found = self._routing.get(model)
        if found is None:
            there = ", ".join(self.names()) or "none yet"
            raise Refused(
                404, f"No model {model!r} is served here. Served models: {there}.", models=self.names()
            )
        return found

    def versions(self, model: str) -> tuple[Served, ...]:
        """Every version of a model that gets requests or copies now."""
        routing = self._routing.get(model)
        return routing.versions() if routing else ()

    def in_use(self) -> set[tuple[str, str]]:
        """Model and backend version of everything that gets requests."""
        return {
            (model, served.route.backend_version)
            for model, routing in self._routing.items()
            for served in routing.versions()
        }

    async def put(self, model: str, document: Any, change: str) -> Route:
        """Send a model's requests to another version from the next request on; it ends the model's split.

        Raises:
            Refused: 422; the document is no route of the model.
        """
        route = route_of(model, document)
        if change not in {"deploy", "rollback"}:
            raise Refused(422, f"The change is {change!r}; deploy or rollback is expected.")
        Served(route, "")  # its schemas can be applied
        await self._change(self._put, model, route, change)
        return route

    async def withdraw(self, model: str) -> None:
        """Answer no more requests for a model.

        Raises:
            Refused: 404; it has no route.
        """
        self.routing(model)
        await self._change(self._withdraw, model)

    async def put_split(self, model: str, document: Any) -> dict[str, Any]:
        """Let a second version answer, or see copies of, a part of a model's requests.

        Returns:
            As `split`.

        Raises:
            Refused: 404 for a model that is not served, 422 for a document that is no split of it, or whose
                candidate is the version that serves.
        """
        split = TrafficSplit.of(model, document)
        Served(split.candidate, "")
        self.routing(model)
        await self._change(self._put_split, model, split)
        return self.split(model)

    async def end_split(self, model: str) -> None:
        """Let the stable version answer everything again.

        Raises:
            Refused: 404; the model has no split.
        """
        self.split(model)
        await self._change(self._end_split, model)

    def split(self, model: str) -> dict[str, Any]:
        """A model's split and its sequence.

        Raises:
            Refused: 404; it has none.
        """
        split = self.routing(model).split
        if split is None:
            raise Refused(404, f"All requests for {model!r} go to one version; there is no split.")
        return {"sequence": self.records.splits[model].sequence, "split": split.model_dump()}

    @contextmanager
    def used(self, route: Route) -> Iterator[None]:
        """Count a version as one that a request is under way to, so that nobody unloads it."""
        key = (route.model, route.backend_version)
        self.in_flight[key] += 1
        try:
            yield
        finally:
            self.in_flight[key] -= 1

    def history(self, model: str) -> list[dict[str, Any]]:
        """Every change of a model's route, oldest first. It blocks: call it in a thread."""
        if NUL in model:
            return []
        of_model = routes.select().where(routes.c.model == model).order_by(routes.c.sequence)
        with self._engine.connect() as connection:
            rows = connection.execute(of_model).all()
        return [
            {
                "sequence": row.sequence,
                "change": row.change,
                "at": row.at,
                "route": Route.model_validate_json(row.route).model_dump() if row.route else None,
            }
            for row in rows
        ]

    async def _change(self, write: Callable[..., None], *what: Any) -> None:
        async with self._changing:
            await asyncio.to_thread(self._write, write, *what)
            await self.spread()

    async def _spread_here(self) -> None:
        self.use(*await asyncio.to_thread(self.read))

    def _write(self, write: Callable[..., None], *what: Any) -> None:
        """Compare with what is there, and write, with no other process in between."""
        with self._engine.begin() as connection:
            alone(connection)
            write(connection, read_records(connection), *what)

    def _routing_of(
        self, route: sa.Row[Any], split: sa.Row[Any] | None, known: Mapping[str, Served]
    ) -> Routing | None:
        if route.route is None:
            return None
        stable = self._served(Route.model_validate_json(route.route), route.at, known)
        stable.since = route.at  # one that was a candidate until now was known before it served
        if split is None or not _holds(route, split):
            return Routing(stable)
        opened = _split_of(split)
        return Routing(stable, opened, self._served(opened.candidate, split.at, known))

    def _served(self, route: Route, since: str, known: Mapping[str, Served]) -> Served:
        return known.get(route.model_dump_json()) or Served(route, since, self._environment)

    def _put(
        self, connection: sa.Connection, records: Records, model: str, route: Route, change: str
    ) -> None:
        row = records.routes.get(model)
        if row is None or row.route is None or Route.model_validate_json(row.route) != route:
            _record(connection, model, change, route)
        elif _holds(row, records.splits.get(model)):
            self._end_split(connection, records, model)

    def _withdraw(self, connection: sa.Connection, records: Records, model: str) -> None:
        if (row := records.routes.get(model)) is not None and row.route is not None:
            _record(connection, model, "withdraw", None)

    def _put_split(
        self, connection: sa.Connection, records: Records, model: str, split: TrafficSplit
    ) -> None:
        row, before = records.routes.get(model), records.splits.get(model)
        if row is None or row.route is None:
            raise Refused(404, f"No model {model!r} is served here.")
        if Route.model_validate_json(row.route).archive_sha256 == split.candidate.archive_sha256:
            raise Refused(
                422, f"The candidate is the version of {model!r} that serves: its archive is the same."
            )
        if before is None or not _holds(row, before) or _split_of(before) != split:
            text = split.model_dump_json()
            values = {"model": model, "after_route": row.sequence, "split": text, "at": now()}
            connection.execute(splits.insert().values(values))

    def _end_split(self, connection: sa.Connection, records: Records, model: str) -> None:
        row, before = records.routes.get(model), records.splits.get(model)
        if row is not None and _holds(row, before):
            values = {"model": model, "after_route": row.sequence, "split": None, "at": now()}
            connection.execute(splits.insert().values(values))


def newest_of(connection: sa.Connection) -> tuple[int, int]:
    """The highest sequences of routes and of splits: cheap to ask for, and another after every change."""
    of_routes, of_splits = connection.exec_driver_sql(NEWEST).one()
    return of_routes or 0, of_splits or 0


def read_records(connection: sa.Connection) -> Records:
    """The newest records of every model.

    The sequences are read first: what is written meanwhile is read again.
    """
    return Records(newest_of(connection), _newest_rows(connection, routes), _newest_rows(connection, splits))


def _newest_rows(connection: sa.Connection, table: sa.Table) -> dict[str, sa.Row[Any]]:
    newest = sa.select(sa.func.max(table.c.sequence)).group_by(table.c.model)
    rows = connection.execute(table.select().where(table.c.sequence.in_(newest))).all()
    return {row.model: row for row in rows}


def _record(connection: sa.Connection, model: str, change: str, route: Route | None) -> None:
    text = route.model_dump_json() if route else None
    values = {"model": model, "change": change, "route": text, "at": now()}
    connection.execute(routes.insert().values(values))


def _holds(route: sa.Row[Any], split: sa.Row[Any] | None) -> bool:
    return split is not None and split.split is not None and split.after_route == route.sequence


def _split_of(row: sa.Row[Any]) -> TrafficSplit:
    return TrafficSplit.model_validate_json(row.split)
