"""What was predicted, and how right it was: read from the log, for who may read.

Both rest on the index `predictions_by_time`, which holds all that is filtered and counted, so that a million
predictions are counted without looking at one of them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial_gateway.database import Text, as_text, failures, feedback, predictions, takebacks
from perennial_gateway.intervals import mean, wilson
from perennial_gateway.labelled import as_number
from perennial_gateway.log import plain
from perennial_gateway.schemas import Schema
from perennial_gateway.takebacks import Time
from perennial_gateway.web import Refused

MOST_ROWS = 1000
P, F, T = predictions.c, feedback.c, takebacks.c
SHOWN = (
    *(P.prediction_id, P.predicted_at, P.model_version, P.run_id, P.features, P.prediction, P.score),
    *(P.sent_by, P.latency_seconds, P.role, P.trace_id),
)


class Window(BaseModel):
    """Which predictions are meant: made at `since` or later, and before `until`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Time | None = None
    until: Time | None = None

    def within(self, column: sa.ColumnElement[str]) -> list[sa.ColumnElement[bool]]:
        """What a time that the tables keep has to fulfil."""
        from_then = [] if self.since is None else [column >= as_text(self.since)]
        return from_then + ([] if self.until is None else [column < as_text(self.until)])


Kind = TypeVar("Kind", bound=Window)


class Page(Window):
    """A page of the predictions, newest first; `cursor` is the last prediction of the page before."""

    version: Text | None = Field(default=None, max_length=63)
    limit: int = Field(default=100, ge=1, le=MOST_ROWS)
    cursor: str | None = Field(default=None, pattern="^[0-9a-f]{32}$")


def asked(kind: type[Kind], query: Iterable[tuple[str, str]]) -> Kind:
    """The window or page that the parameters of a request name.

    Raises:
        Refused: 422, naming the parameter.
    """
    try:
        return kind.model_validate(dict(query))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        there = ", ".join(kind.model_fields)
        raise Refused(
            422, f"{faults}. The parameters are {there}; a time is 2026-11-01T00:00:00Z."
        ) from error


SchemasOf = Callable[[str, Collection[str]], Mapping[str, Schema]]


class History:
    """Reads the log's tables. Its methods block: call them in a thread.

    Args:
        schemas: The label schemas of some versions of a model, by version.
    """

    def __init__(self, engine: sa.Engine, schemas: SchemasOf) -> None:
        self._engine = engine
        self._schemas = schemas

    def page(self, model: str, page: Page) -> dict[str, Any]:
        """The predictions of a page, and where the next one begins; None at the end."""
        wanted = sa.select(*SHOWN).where(P.model == model, *page.within(P.predicted_at))
        if page.version is not None:
            wanted = wanted.where(P.model_version == page.version)
        if page.cursor is not None:
            wanted = wanted.where(_before(page.cursor))
        newest_first = wanted.order_by(P.predicted_at.desc(), P.prediction_id.desc()).limit(page.limit)
        with self._engine.connect() as connection:
            rows = connection.execute(newest_first).mappings().all()
        last = rows[-1]["prediction_id"] if len(rows) == page.limit else None
        return {"predictions": [plain(row) for row in rows], "next_cursor": last}

    def statistics(self, model: str, window: Window) -> dict[str, Any]:
        """How much each version predicted and how right it was, by the last label of each prediction that was
        not taken back.
        """
        made = sa.select(
            P.model_version,
            sa.func.count().label("predictions"),
            sa.func.min(P.predicted_at).label("first_at"),
            sa.func.max(P.predicted_at).label("last_at"),
        ).where(P.model == model, *window.within(P.predicted_at))
        failed = sa.select(failures.c.model_version, sa.func.sum(failures.c.requests)).where(
            failures.c.model == model, *window.within(failures.c.failed_at)
        )
        with self._engine.connect() as connection:
            versions = connection.execute(made.group_by(P.model_version)).mappings().all()
            of_failed = dict(
                tuple(row) for row in connection.execute(failed.group_by(failures.c.model_version))
            )
            labelled = {
                row["model_version"]: row for row in connection.execute(right(model, window)).mappings()
            }
        labels = self._schemas(model, [row["model_version"] for row in versions])
        rows = [
            {**plain(row), "failed_requests": int(of_failed.get(row["model_version"], 0))}
            | _told(labelled.get(row["model_version"], {}), labels[row["model_version"]].document)
            for row in versions
        ]
        return {"model": model, "versions": sorted(rows, key=_newest_first, reverse=True)}


def _newest_first(row: dict[str, Any]) -> str:
    last_at: str = row["last_at"]
    return last_at


def _before(cursor: str) -> sa.ColumnElement[bool]:
    at = sa.select(P.predicted_at).where(P.prediction_id == cursor).scalar_subquery()
    return (P.predicted_at < at) | ((P.predicted_at == at) & (P.prediction_id < cursor))


def right(model: str, window: Window) -> sa.Select[Any]:
    """By version: how many predictions have a label, how many are equal to it, and the sums of the absolute
    errors and of their squares where both are numbers.
    """
    label, last = feedback.alias("label"), _last_labels(model, window).subquery("last")
    error = sa.func.abs(as_number(P.prediction) - as_number(label.c.label))
    return (
        sa.select(
            P.model_version,
            sa.func.count().label("labelled"),
            sa.func.sum(sa.case((P.prediction == label.c.label, 1), else_=0)).label("correct"),
            sa.func.count(error).label("numbers"),
            sa.func.sum(error).label("errors"),
            sa.func.sum(error * error).label("squares"),
        )
        .select_from(last)
        .join(label, label.c.sequence == last.c.sequence)
        .join(predictions, P.prediction_id == label.c.prediction_id)
        .where(P.model == model, *window.within(P.predicted_at))
        .group_by(P.model_version)
    )


def _last_labels(model: str, window: Window) -> sa.Select[tuple[int]]:
    """A label comes after its prediction, so of a window those alone are read that came since it began."""
    taken_back = sa.exists().where(
        T.model == F.model,
        T.sent_by.is_not_distinct_from(F.sent_by),
        F.received_at <= T.until,
        T.since.is_(None) | (F.received_at >= T.since),
    )
    came = [] if window.since is None else [F.received_at >= as_text(window.since)]
    last = sa.select(sa.func.max(F.sequence).label("sequence")).where(F.model == model, *came, ~taken_back)
    return last.group_by(F.prediction_id)


def _told(right: Any, label_schema: dict[str, Any]) -> dict[str, Any]:
    """Correctness of classes, and the error of numbers; of whole numbers, which may be either, both."""
    labelled = int(right.get("labelled") or 0)
    told: dict[str, Any] = {"labelled": labelled}
    kind = label_schema.get("type")
    listed = "enum" in label_schema or "const" in label_schema
    if kind != "number" or listed:
        share = wilson(int(right.get("correct") or 0), labelled)
        told["correctness"] = share._asdict() if share else None
    if kind in {"number", "integer"} and not listed:
        sums = (float(right.get("errors") or 0), float(right.get("squares") or 0))
        error = mean(*sums, int(right.get("numbers") or 0))
        told["mean_absolute_error"] = error._asdict() if error else None
    return told
