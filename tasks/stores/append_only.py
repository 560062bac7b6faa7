"""Let the database itself refuse to change or remove what a table holds.

It refuses whoever asks: the platform, a person at a shell, a program that was given the platform's login. The
owner of the table can take the refusal away first; what is done then, the ledger's hashes and heads tell. On
PostgreSQL the platform has no right to it either, and where whoever made the database has prepared that
(containers/compose/databases.sh), it gives the table away and can only add rows from then on.
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
NO_RIGHT = "REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM CURRENT_USER"
HAS_RIGHT = """
SELECT has_table_privilege(:table, 'UPDATE') AND NOT rolsuper FROM pg_roles WHERE rolname = current_user
"""
GIVES_AWAY = "SELECT to_regprocedure('give_away_' || :table || '()') IS NOT NULL"
IS_OURS = """
SELECT tableowner = current_user FROM pg_tables
WHERE schemaname = current_schema() AND tablename = :table
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
    else:
        _on_postgresql(connection, words)


def _on_postgresql(connection: sa.Connection, words: dict[str, str]) -> None:
    named = {"table": words["table"]}
    if connection.execute(sa.text(IS_THERE), named).first() is None:
        connection.execute(sa.text(FUNCTION.format(**words)))
        connection.execute(sa.text(POSTGRESQL.format(**words)))
    if connection.execute(sa.text(HAS_RIGHT), named).scalar():
        connection.execute(sa.text(NO_RIGHT.format(**words)))
        if connection.execute(sa.text(GIVES_AWAY), named).scalar():
            connection.execute(sa.text("SELECT give_away_{table}()".format(**words)))


def is_given_away(connection: sa.Connection, table: sa.Table) -> bool:
    """Whether the table is there and another role's, so that we cannot change how it is made."""
    if connection.dialect.name == "sqlite":
        return False
    return connection.execute(sa.text(IS_OURS), {"table": table.name}).scalar() is False


def _same_place(table: sa.Table) -> str:
    """That a row has the primary key of the new one, or one of its values that must be unique."""
    unique = [column.name for column in table.columns if column.unique]
    key = " AND ".join(f"{column.name} = NEW.{column.name}" for column in table.primary_key)
    return " OR ".join([f"({key})", *(f"{name} = NEW.{name}" for name in unique)])
