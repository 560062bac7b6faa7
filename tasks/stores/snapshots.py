"""Which versions of a table the trainings of a model have seen."""

import sqlalchemy as sa

from tasks.stores.database import engine, snapshots


def remember(run_key: str, *, model: str, table: str, version: int) -> None:
    """Write down what a training run has pinned; a snapshot that is taken again replaces it."""
    row = {"run_key": run_key, "model": model, "table_name": table, "table_version": version}
    with engine().begin() as connection:
        connection.execute(snapshots.delete().where(snapshots.c.run_key == run_key))
        connection.execute(snapshots.insert().values(row))


def newest_version(model: str, table: str, *, besides: str) -> int | None:
    """The newest version that a training of the model has pinned; None before the first.

    Args:
        besides: The key of a run that does not count: a run that is cleared may train on its rows again.
    """
    seen = (snapshots.c.model == model, snapshots.c.table_name == table, snapshots.c.run_key != besides)
    with engine().connect() as connection:
        found: int | None = connection.scalar(sa.select(sa.func.max(snapshots.c.table_version)).where(*seen))
    return found
