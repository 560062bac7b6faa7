"""Change the ledger as somebody does who owns its database: the refusal is taken away first."""

import sqlalchemy as sa

from tasks.stores.database import engine

TRIGGERS = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'")


def tamper(*statements: sa.Executable) -> None:
    """Execute statements on SQLite's ledger that it would refuse."""
    with engine().begin() as connection:
        for name in connection.scalars(TRIGGERS).all():
            connection.execute(sa.DDL(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(statement)
