"""The trainings that go on past their deadline: Airflow's deadline notes them, and their end forgets them."""

from collections.abc import Iterable

import sqlalchemy as sa

from tasks.contracts import LateRun
from tasks.stores.database import engine
from tasks.stores.database import late_runs as late


def note_late(run: LateRun) -> None:
    """Keep that a run is late; once, however often its deadline is told."""
    with engine().begin() as connection:
        if connection.execute(late.select().where(*_this(run.dag_id, run.run_id))).first() is None:
            connection.execute(late.insert().values(run.model_dump(exclude={"contract_version"})))


def note_ended(dag_id: str, run_id: str) -> None:
    """Forget a run that has ended, or that is no more."""
    with engine().begin() as connection:
        connection.execute(late.delete().where(*_this(dag_id, run_id)))


def late_runs(name: str | None = None) -> list[LateRun]:
    """The trainings that are late; of a model where it is named."""
    query = late.select().order_by(late.c.deadline, late.c.run_id)
    if name:
        query = query.where(late.c.name == name)
    with engine().connect() as connection:
        return [LateRun.model_validate(row._asdict()) for row in connection.execute(query)]


def _this(dag_id: str, run_id: str) -> Iterable[sa.ColumnElement[bool]]:
    return (late.c.dag_id == dag_id, late.c.run_id == run_id)
