"""Let the database itself refuse to change or remove what a table holds.

It refuses whoever asks: the platform, a person at a shell, a program that was given the platform's login. The
owner of the table can take the refusal away first; what is done then, the ledger's hashes tell.
"""

import sqlalchemy as sa

# SQLite removes a row that stands in the way of an INSERT OR REPLACE without asking the trigger on deletions.
SQLITE = """
CREATE TRIGGER IF NOT EXISTS {table}_is_append_only_{when} BEFORE {event} ON {table}{among}
BEGIN SELECT RAISE(ABORT, '{sentence}'); END
"""
FUNCTION = """
CREATE OR REPLACE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION '{sentence}' USING ERRCODE = 'restrict_violation'; END $$
"""
POSTGRESQL = """
CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()
"""
IS_THERE = (
    "SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND tgname = :table || '_is_append_only'"
)


def make_append_only(connection: sa.Connection, table: sa.Table) -> None:
    """Let rows join a table and do nothing else to it; once, however often it is asked for.

    A statement that changes or removes a row, or that would put a row in the place of another, fails with a
    sentence: as an IntegrityError on SQLite and on PostgreSQL.
    """
    taken = f" WHEN EXISTS (SELECT 1 FROM {table.name} WHERE {_same_place(table)})"  # noqa: S608 - names of our own
    words = {"table": table.name, "sentence": f"{table.name} is append-only: no entry is changed or removed."}
    if connection.dialect.name == "sqlite":
        for when, event, among in (
            ("update", "UPDATE", ""),
            ("delete", "DELETE", ""),
            ("insert", "INSERT", taken),
        ):
            connection.execute(sa.text(SQLITE.format(when=when, event=event, among=among, **words)))
    elif connection.execute(sa.text(IS_THERE), {"table": table.name}).first() is None:
        connection.execute(sa.text(FUNCTION.format(**words)))
        connection.execute(sa.text(POSTGRESQL.format(**words)))


def _same_place(table: sa.Table) -> str:
    """That a row has the primary key of the new one, or one of its values that must be unique."""
    unique = [column.name for column in table.columns if column.unique]
    key = " AND ".join(f"{column.name} = NEW.{column.name}" for column in table.primary_key)
    return " OR ".join([f"({key})", *(f"{name} = NEW.{name}" for name in unique)])
