"""Which versions of their tables the trainings of a model have seen."""

from collections.abc import Mapping

import sqlalchemy as sa

from tasks.stores.database import engine, snapshots


def remember(run_key: str, model: str, versions: Mapping[str, int]) -> None:
    """Write down what a training run has pinned; a snapshot that is taken again replaces it.

    Args:
        versions: The version of each table.
    """
    rows = [
        {"run_key": run_key, "model": model, "table_name": table, "table_version": version}
        for table, version in versions.items()
    ]
    with engine().begin() as connection:
        connection.execute(snapshots.delete().where(snapshots.c.run_key == run_key))
        connection.execute(snapshots.insert(), rows)


def newest_versions(model: str, *, besides: str) -> dict[str, int]:
    """The newest version of each table that a training of the model has pinned; empty before the first.

    Args:
        besides: The key of a run that does not count: a run that is cleared may train on its rows again.
    """
    newest = sa.func.max(snapshots.c.table_version)
    query = (
        sa.select(snapshots.c.table_name, newest)
        .where(snapshots.c.model == model, snapshots.c.run_key != besides)
        .group_by(snapshots.c.table_name)
    )
    with engine().connect() as connection:
        return {table: int(version) for table, version in connection.execute(query)}
