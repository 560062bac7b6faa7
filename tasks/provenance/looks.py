"""Where a name may be known: each look says what it found, and where it looked."""

import glob
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from tasks.contracts import Subject
from tasks.data.landing import Landing
from tasks.data.landing_names import is_landed
from tasks.errors import PerennialError, ServingError
from tasks.ledger import entries
from tasks.provenance import mlflow_runs, predictions
from tasks.provenance.looks_at_decisions import (
    AIRFLOW_RUN,
    ENTRY,
    entry_of,
    runs_in_ledger,
    trainings_of,
)
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import read_specs
from tasks.stores import files
from tasks.stores.faults import explain
from tasks.stores.lake import Lake

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
ID = re.compile(r"[0-9a-f]{32}")
VERSION = re.compile(r"(?:models:/)?([a-z][a-z0-9_]{0,62})[/ ]v?(\d{1,9})")
ROW = re.compile(r"([a-z][a-z0-9_]{0,62}):(.+)", re.DOTALL)
FILE = re.compile(r"(?P<name>[^/]+)")
FILE_OF_TABLE = re.compile(r"(?:(?P<table>[a-z][a-z0-9_]{0,62}):)?(?P<name>[^/]+)")


@dataclass
class Looks:
    """What was found, where nothing was, and what could not be looked into; sentences without a full stop.

    Attributes:
        refused: Files of this name that joined no table, each with the reason; sentences.
    """

    found: list[Subject] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Look there; a service that does not answer, or refuses, is written down and not raised."""
        try:
            yield
        except (PerennialError, requests.RequestException) as error:
            self.away.append(f"{place}: {error}")
        except Exception as error:
            told = explain(error)
            if told is None:
                raise
            self.away.append(f"{place}: {told}")
        else:
            self.looked.append(place)


def look(text: str, only: str | None = None) -> Looks:
    """Look everywhere that a name of this form may be known.

    A kind before it says what it is the name of: `model:reviews`, `batch:day.csv`, or of one table
    `batch:reviews:day.csv`. Where none of that kind has it, the text as it stands is a name, too: of a row in
    a table `batch`.

    Args:
        only: Look for this kind alone.
    """
    looks = Looks()
    kind, colon, name = text.partition(":")
    if colon and kind in OF_KIND and only in {None, kind}:
        form, find = (FILE_OF_TABLE, _batch) if kind == "batch" else OF_KIND[kind]
        _look(looks, name.strip(), form, find)
    if not looks.found:
        for each, (form, find) in OF_KIND.items():
            # The id of a run of Airflow's may look like anything: it is looked for where nothing else has it.
            if only in {None, each} and not (each == "airflow_run" and looks.found):
                _look(looks, text, form, find)
    return looks


def as_chosen(subject: Subject) -> str:
    """The text that names this subject and nothing else."""
    return {
        "prediction": f"prediction:{subject.prediction_id}",
        "version": f"version:{subject.model}/{subject.version}",
        "run": f"run:{subject.run_id}",
        "batch": f"batch:{subject.table}:{subject.batch_id}",
        "row": f"row:{subject.table}:{subject.key}",
        "model": f"model:{subject.model}",
        "entry": f"entry:{subject.entry}",
        "airflow_run": f"airflow_run:{subject.airflow_run}",
    }[subject.kind]


def tables(lake: Lake) -> list[str]:
    """The tables that files land in, by name: those of the lake without what the steps keep beside them."""
    names = sorted(entry.name for entry in files.entries(files.at(lake.url)))
    return [name for name in names if NAME.fullmatch(name) and "__" not in name and lake.exists(name)]


def _look(
    looks: Looks, text: str, form: re.Pattern[str], find: Callable[[Looks, re.Match[str]], None]
) -> None:
    if match := form.fullmatch(text):
        find(looks, match)


def _version(looks: Looks, match: re.Match[str]) -> None:
    model, number = match[1], match[2]
    with looks.at(f"versions of {model!r} in MLflow's registry"):
        run_id = mlflow_runs.run_of_version(model, number)
        if run_id is not None:
            looks.found.append(Subject(kind="version", model=model, version=number, run_id=run_id))


def _row(looks: Looks, match: re.Match[str]) -> None:
    lake, table, key = Lake(), match[1], match[2]
    with looks.at(f"the table {table!r} of the lake, for a row with the key {key[:100]!r}"):
        if lake.exists(table) and "__" not in table:
            looks.found.append(Subject(kind="row", table=table, key=key))


def _prediction(looks: Looks, match: re.Match[str]) -> None:
    with looks.at("the gateway's log"):
        row = Gateway(retries=1).prediction(match[0])
        if row is not None:
            looks.found.append(_answered(row["model"], row["run_id"], match[0]))
            return
    with looks.at("predictions in the lake"):
        kept = predictions.in_lake(Lake(), match[0])
        if kept is not None:
            looks.found.append(_answered(kept.model, kept.run_id, match[0]))


def _answered(model: str, run_id: str, prediction_id: str) -> Subject:
    return Subject(kind="prediction", model=model, run_id=run_id, prediction_id=prediction_id)


def _run(looks: Looks, match: re.Match[str]) -> None:
    with looks.at("MLflow's runs"):
        record = mlflow_runs.record_of(match[0])
        if record is not None:
            looks.found.append(Subject(kind="run", model=record.experiment, run_id=match[0]))


def _model(looks: Looks, match: re.Match[str]) -> None:
    name = match[0]
    with looks.at("the models of the project, of the gateway, of MLflow's registry and of the ledger"):
        specs, _ = read_specs(settings().models)
        if name in {spec.name for spec in specs} or entries.history(name) or _is_served(looks, name):
            looks.found.append(Subject(kind="model", model=name))


def _is_served(looks: Looks, name: str) -> bool:
    try:
        return bool(Gateway(retries=1).history(name))
    except ServingError as error:
        looks.away.append(f"the gateway's routes: {error}")
        return False


def _entry(looks: Looks, match: re.Match[str]) -> None:
    with looks.at("the numbers of the ledger's entries"):
        looks.found += entry_of(match)


def _airflow_run(looks: Looks, match: re.Match[str]) -> None:
    with looks.at("the Airflow runs of MLflow's runs"):
        looks.found += trainings_of(match)
    if not looks.found:
        with looks.at("the Airflow runs that entries of the ledger name"):
            looks.found += runs_in_ledger(match)


def _batch(looks: Looks, match: re.Match[str]) -> None:
    """A batch by its id, or by the name of the file that it landed as."""
    lake, named = Lake(), match.groupdict().get("table")
    known: list[str] = []
    with looks.at("the tables of the lake"):
        known = tables(lake)
    for table in known:
        text = match["name"] if table == named else match[0]
        with looks.at(f"batches and files of the table {table!r}"):
            commits = lake.commits(table)
            of_file = {commit.batch_id for commit in commits if commit.file == text and commit.batch_id}
            batches = (
                {text} if lake.app_version(table, text) is not None else of_file or _archived(table, text)
            )
            looks.found += [Subject(kind="batch", table=table, batch_id=each) for each in sorted(batches)]
            if not batches and (reason := Landing(table).why_refused(text)):
                looks.refused.append(f"The file {text} was refused and joined no row to {table}: {reason}")


def _archived(table: str, name: str) -> set[str]:
    """The batches of a file that an earlier Perennial ingested, whose commits do not name them."""
    if not is_landed(name) or len(name.encode()) > files.NAME_BYTES:  # `..` lies in every folder
        return set()
    found = (Landing(table).url / ".archive").glob(f"*/{glob.escape(name)}")
    return {path.parent.name for path in found}


OF_KIND: dict[str, tuple[re.Pattern[str], Callable[[Looks, re.Match[str]], None]]] = {
    "version": (VERSION, _version),
    "row": (ROW, _row),
    "prediction": (ID, _prediction),
    "run": (ID, _run),
    "model": (NAME, _model),
    "entry": (ENTRY, _entry),
    "batch": (FILE, _batch),
    "airflow_run": (AIRFLOW_RUN, _airflow_run),
}
"""What a name may be of: its form, and where it is looked for."""
