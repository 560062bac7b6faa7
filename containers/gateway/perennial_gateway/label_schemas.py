"""Which schema a label has to keep: that of the version which made the prediction, whether it serves or not.

While a model has two versions their labels may differ, and a label may come long after its version has gone.
"""

from collections.abc import Collection, Iterable, Iterator

import sqlalchemy as sa

from perennial_gateway.database import routes, splits
from perennial_gateway.route_table import RouteTable
from perennial_gateway.routes import Route
from perennial_gateway.schemas import Schema
from perennial_gateway.splits import TrafficSplit


class LabelSchemas:
    """The label schemas of all versions; those that serve no more are read once, until a route changes."""

    def __init__(self, engine: sa.Engine, table: RouteTable) -> None:
        self._engine = engine
        self._table = table
        self._former: dict[tuple[str, str], Schema] = {}
        self._read_at = table.records.newest

    def of(self, model: str, versions: Collection[str]) -> dict[str, Schema]:
        """The schema of each version; of one that no record names, that of the version which serves. It
        blocks: call it in a thread.

        Raises:
            Refused: 404; the model is not served.
        """
        stable = self._table.served(model).labels
        told = {each.route.model_version: each.labels for each in self._table.versions(model)}
        former = self._formerly(model, {each for each in versions if each not in told})
        return dict.fromkeys(versions, stable) | former | told

    def _formerly(self, model: str, versions: set[str]) -> dict[str, Schema]:
        newest = self._table.records.newest
        if newest != self._read_at:
            self._former, self._read_at = {}, newest
        former = self._former
        if missing := {each for each in versions if (model, each) not in former}:
            with self._engine.connect() as connection:
                for route in _routes_of(connection, model):
                    if route.model_version in missing:
                        missing.remove(route.model_version)
                        former[model, route.model_version] = Schema(route.label_schema)
        return {each: former[model, each] for each in versions if (model, each) in former}


def _routes_of(connection: sa.Connection, model: str) -> Iterable[Route]:
    """Every route that a model had, the newest first, and then every candidate's."""
    yield from map(Route.model_validate_json, _texts(connection, routes.c.route, model))
    for text in _texts(connection, splits.c.split, model):
        yield TrafficSplit.model_validate_json(text).candidate


def _texts(connection: sa.Connection, column: sa.Column[str], model: str) -> Iterator[str]:
    table = column.table
    wanted = sa.select(column).where(table.c.model == model, column.is_not(None))
    yield from connection.scalars(wanted.order_by(table.c.sequence.desc()))
