"""Where the id of a run of Airflow, or the number of a ledger's entry, may be known."""

import re

from tasks.contracts import Subject
from tasks.ledger import entries
from tasks.provenance import mlflow_runs
from tasks.provenance.entries_about import dag_runs_named

AIRFLOW_RUN = re.compile(r"(?:([a-z][a-z0-9_]*)/)?([A-Za-z0-9_.~:+-]{1,250})")
ENTRY = re.compile(r"(?:entry |#)?(\d{1,9})")


def entry_of(match: re.Match[str]) -> list[Subject]:
    """The entry with this number; none where the ledger has none."""
    number = int(match[1])
    return [] if entries.hash_of(number) is None else [Subject(kind="entry", entry=number)]


def trainings_of(match: re.Match[str]) -> list[Subject]:
    """The newest training of each run of Airflow with this id, and of this DAG where one is named."""
    dag_id, run_id = match[1], match[2]
    newest = {each.dag_run or "": each for each in mlflow_runs.trainings_of(run_id)}
    return [
        Subject(kind="run", model=each.experiment, run_id=each.run_id)
        for dag_run, each in newest.items()
        if dag_id in {None, dag_run.partition("/")[0]}
    ]


def runs_in_ledger(match: re.Match[str]) -> list[Subject]:
    """The runs of Airflow with this id that an entry names."""
    dag_id, run_id = match[1], match[2]
    named = {name for entry in entries.history() for name in dag_runs_named(entry)}
    own = [name.partition("/") for name in sorted(named)]
    return [
        Subject(kind="airflow_run", airflow_run=f"{dag}/{run}")
        for dag, _, run in own
        if run == run_id and dag_id in {None, dag}
    ]
