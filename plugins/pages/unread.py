"""What Airflow cannot read now: a model stays though its DAG files are wrong, or slow, for a while."""

from dataclasses import dataclass

import sqlalchemy as sa
from airflow.models.dag import DagModel
from airflow.models.errors import ParseImportError
from airflow.utils.session import create_session

from plugins.pages.of_airflow import Dag, models_in
from tasks.overview.import_errors import fact_of
from tasks.settings import settings

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


def lost_models(known: dict[str, Dag]) -> set[str]:
    """The models that Airflow has no DAG of now: of the project's files, or of a file that it cannot read.

    Args:
        known: The DAGs that Airflow has.
    """
    in_project = {path.parent.name for path in settings().models.glob("*/pipeline.yaml")}
    return (in_project | set(models_in(_unread_dags()))) - set(models_in(known))


def _unread_dags() -> list[str]:
    """The DAGs of files that Airflow could read before, and cannot now."""
    same_file = (
        ParseImportError.filename == DagModel.relative_fileloc,
        ParseImportError.bundle_name == DagModel.bundle_name,
    )
    wanted = sa.select(DagModel.dag_id).join(ParseImportError, sa.and_(*same_file))
    with create_session() as session:
        return list(session.scalars(wanted.where(DagModel.is_stale)))
