"""What Airflow cannot read now: a model stays though its DAG files are wrong, or slow, for a while."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from airflow.models.dag import DagModel
from airflow.models.errors import ParseImportError
from airflow.utils.session import create_session

from plugins.pages.of_airflow import models_in
from tasks.overview.import_errors import fact_of
from tasks.settings import settings

TRAINS = "train.py"
"""The DAG file that each model has a DAG of."""
SHOWN = 20
"""So many files are named; one fault of the project can be all its files'."""


@dataclass(frozen=True)
class UnreadFile:
    """A DAG file that Airflow could not read when it tried last; `fact` is the error in one line."""

    name: str
    fact: str


def unread_files() -> list[UnreadFile]:
    """Those of every DAG, by name."""
    wanted = sa.select(ParseImportError.filename, ParseImportError.stacktrace)
    with create_session() as session:
        rows = session.execute(wanted.order_by(ParseImportError.filename).limit(SHOWN))
        return [UnreadFile(row.filename or "a DAG file", fact_of(row.stacktrace or "")) for row in rows]


def lost_models(known: Iterable[str]) -> set[str]:
    """The models that Airflow has no DAG of now: of a file that it cannot read, or of the project's files.

    Of the project's, those count that Airflow has known; where it cannot read the file that all are trained
    by, all do. An image may have models beside it that are none of the bundle's, and these are not lost.

    Args:
        known: The DAGs that Airflow has.
    """
    in_project = {path.parent.name for path in settings().models.glob("*/pipeline.yaml")}
    with create_session() as session:
        errors = sa.select(ParseImportError.filename, ParseImportError.bundle_name)
        unread = {(row.filename, row.bundle_name) for row in session.execute(errors)}
        wanted = sa.select(DagModel.dag_id, DagModel.relative_fileloc, DagModel.bundle_name)
        stale = list(session.execute(wanted.where(DagModel.is_stale)))
    if any((name or "").endswith(TRAINS) for name, _ in unread):
        before = in_project
    else:
        before = in_project & set(models_in(row.dag_id for row in stale))
    of_unread = models_in(row.dag_id for row in stale if (row.relative_fileloc, row.bundle_name) in unread)
    return (before | set(of_unread)) - set(models_in(known))
