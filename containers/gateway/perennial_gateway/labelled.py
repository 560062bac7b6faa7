"""Predictions with their newest label, one by one or as sums of losses: read or counted by the database.

The sums are told of each version and slice, so that what is told stays small however many labels have come.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

import orjson
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from perennial_gateway.database import Text, feedback, predictions, takebacks
from perennial_gateway.web import Refused

DIGITS = 6
"""Of sums of parts of requests: what is beyond is the order in which they were added."""

MOST_SLICES = 100
"""Values of a column that are told of each version, the most frequent."""

LONGEST_VALUE = 200
"""Characters of a slice's value, as JSON; what is longer is text, and no slice."""

P, F, T = predictions.c, feedback.c, takebacks.c
BY = (P.model_version, P.run_id, P.role)


class Column(BaseModel):
    """A feature whose values are slices; of numbers with `edges` the bins between these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract_version: int = 1
    column: Text = Field(max_length=200)
    edges: tuple[FiniteFloat, ...] = Field(default=(), max_length=100)


class LossRule(BaseModel):
    """The contract `LossRule` of the steps: what the loss of an answer is, and of which slices it is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract_version: int = 1
    largest_error: Annotated[FiniteFloat, Field(gt=0)] | None = None
    slices: tuple[Column, ...] = Field(default=(), max_length=100)

    @classmethod
    def of(cls, text: str) -> Self:
        """What a request asks for.

        Raises:
            Refused: 422; it is none.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise Refused(422, f"losses is not a rule of losses: {faults}.") from error


def labelled_of(connection: sa.Connection, model: str, since: str, most: int) -> list[dict[str, Any]]:
    """Predictions with their newest label that was not taken back, oldest first."""
    labels = _newest_labels(model, since)
    columns = (P.prediction_id, *BY, P.features, P.prediction, P.score)
    instances = sa.func.coalesce(P.instances, 1).label("instances")
    wanted = (
        sa.select(*columns, instances, labels.c.label, labels.c.received_at)
        .join(labels, labels.c.prediction_id == P.prediction_id)
        .where(labels.c.place == 1, P.model == model, P.predicted_at >= since)
        .order_by(P.predicted_at, P.sequence)
        .limit(most)
    )
    return [_plain(row) for row in connection.execute(wanted).mappings()]


def losses_of(connection: sa.Connection, model: str, since: str, rule: LossRule) -> list[dict[str, Any]]:
    """The sums of the losses of each version in each role: of all its labelled answers (`slice` is null), and
    of each slice, which is told by the place of its column in the rule and its value or its bin.
    """
    labels = _newest_labels(model, since)
    loss = _loss(rule, labels.c.label)
    sliced = [
        _slice(connection.dialect, column).label(f"slice_{place}") for place, column in enumerate(rule.slices)
    ]
    rows = (
        sa.select(*BY, part_of_request(P.instances).label("part"), loss.label("loss"), *sliced)
        .join(labels, labels.c.prediction_id == P.prediction_id)
        .where(labels.c.place == 1, P.model == model, P.predicted_at >= since, loss.is_not(None))
        .subquery()
    )
    return [*_summed(connection, rows, None), *_of_slices(connection, rows, rule)]


def part_of_request(instances: sa.Column[int]) -> sa.ColumnElement[Any]:
    """Of its request, an instance; a row of an earlier gateway counts as a request of its own."""
    return sa.literal(1.0, sa.Double) / sa.func.coalesce(instances, 1)


def as_number(text: sa.ColumnElement[str]) -> sa.ColumnElement[float]:
    """A JSON text as a number; null for what is none, which PostgreSQL would refuse to cast."""
    first = sa.func.substr(text, 1, 1)
    return sa.case((first.in_([*"-0123456789"]), sa.cast(text, sa.Double)), else_=None)


def _newest_labels(model: str, since: str) -> sa.Subquery:
    """Labels that were not taken back, each with its `place` from the newest of its prediction."""
    taken_back = sa.exists().where(
        T.model == F.model,
        T.sent_by.is_not_distinct_from(F.sent_by),
        T.until >= F.received_at,
        sa.or_(T.since.is_(None), T.since <= F.received_at),
    )
    place = sa.func.row_number().over(partition_by=F.prediction_id, order_by=F.sequence.desc())
    labels = sa.select(F.prediction_id, F.label, F.received_at, place.label("place"))
    return labels.where(F.model == model, F.received_at >= since, ~taken_back).subquery()


def _loss(rule: LossRule, label: sa.ColumnElement[str]) -> sa.ColumnElement[float]:
    """In [0, 1]; null of what has none."""
    if rule.largest_error is None:
        return sa.case((P.prediction == label, 0.0), else_=1.0)
    error = sa.func.abs(as_number(P.prediction) - as_number(label)) / rule.largest_error
    return sa.case((error > 1, 1.0), else_=error)


def _slice(dialect: sa.Dialect, column: Column) -> sa.ColumnElement[Any]:
    """The feature's value as JSON, or the number of its bin; null of what has none."""
    value: sa.ColumnElement[str]
    if dialect.name == "sqlite":
        value = sa.type_coerce(P.features.op("->")(f'$."{column.column}"'), sa.Text)
    else:
        of_json = sa.cast(P.features, sa.JSON).op("->")(sa.literal(column.column, sa.Text))
        has_nul = P.features.contains("\\u0000", autoescape=True)  # such JSON PostgreSQL does not read
        value = sa.case((has_nul, None), else_=sa.cast(of_json, sa.Text))
    if not column.edges:
        return value
    number = as_number(value)
    bins = ((number < edge, place) for place, edge in enumerate(column.edges))
    return sa.case(*bins, (number.is_not(None), len(column.edges)), else_=None)


def _of_slices(connection: sa.Connection, rows: sa.Subquery, rule: LossRule) -> Iterator[dict[str, Any]]:
    for place, column in enumerate(rule.slices):
        for told in _summed(connection, rows, rows.c[f"slice_{place}"]):
            if not column.edges and told["value"] is not None:
                told["value"] = orjson.loads(told["value"])
            yield told | {"slice": place}


def _summed(
    connection: sa.Connection, rows: sa.Subquery, value: sa.ColumnElement[Any] | None
) -> Iterator[dict[str, Any]]:
    """By version and role, and by value where one is given."""
    by = [rows.c[column.name] for column in BY]
    value, keys = (sa.null(), by) if value is None else (value, [*by, value])
    labelled = sa.func.sum(rows.c.part).label("labelled")
    place = sa.func.row_number().over(partition_by=by, order_by=(labelled.desc(), value)).label("place")
    loss = sa.func.sum(rows.c.part * rows.c.loss).label("loss")
    grouped = sa.select(*by, value.label("value"), labelled, loss, place).group_by(*keys)
    fits = sa.or_(value.is_(None), sa.func.length(sa.cast(value, sa.Text)) <= LONGEST_VALUE)
    told = grouped.where(fits).subquery()
    names = [told.c[name] for name in ("model_version", "run_id", "role", "value", "labelled", "loss")]
    found = connection.execute(sa.select(*names).where(told.c.place <= MOST_SLICES).order_by(*names[:3]))
    for row in found.mappings():
        sums = {name: round(row[name], DIGITS) for name in ("labelled", "loss")}
        yield {"slice": None, **{str(name): given for name, given in row.items()}, **sums}


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """As the contract has it; a key of SQLAlchemy's is not quite a string."""
    read = {"features", "prediction", "label"}
    return {str(name): orjson.loads(value) if name in read else value for name, value in row.items()}
