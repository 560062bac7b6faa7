"""Many `airflow dags trigger` at once on a busy database: `python trigger_at_once.py DAG COUNT DATABASE`.

Ends with the number of commands that failed. Airflow's imports cost each command seconds, which would spread
them out; here they are paid once, and each command is a fork of its own. What a slow machine adds is added
here: somebody else writes to the database for longer than SQLite waits by default.
"""

import multiprocessing
import sqlite3
import sys
import time
from contextlib import closing
from multiprocessing.synchronize import Barrier

from airflow.cli.cli_parser import get_parser
from airflow.cli.commands import dag_command

FORKS = multiprocessing.get_context("fork")
HELD_SECONDS = 12  # a command writes twice, its line of the audit log first, and SQLite waits 5 s by default
COMMAND = dag_command.dag_trigger  # imported before the forks


def trigger(dag_id: str, start: Barrier) -> None:
    """Be the command, once all are ready."""
    arguments = get_parser().parse_args(["dags", "trigger", dag_id])
    start.wait()
    COMMAND(arguments)


def main(dag_id: str, count: int, database: str) -> int:
    """Run `count` of them together while the database is busy."""
    start = FORKS.Barrier(count + 1)
    commands = [FORKS.Process(target=trigger, args=(dag_id, start)) for _ in range(count)]
    for command in commands:
        command.start()
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        start.wait()
        time.sleep(HELD_SECONDS)
        writer.execute("ROLLBACK")
    for command in commands:
        command.join()
    return sum(command.exitcode != 0 for command in commands)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
