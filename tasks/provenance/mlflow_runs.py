"""What MLflow keeps of trainings, read only: runs, which tables they pinned, and their versions."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tasks.contracts import ModelVersion
from tasks.errors import RegistryError
from tasks.settings import settings
from tasks.stores import registry
from tasks.training.mlflow_run import STEP_KEY

PAGE_RUNS = 1000
ID = re.compile(r"[0-9a-f]{32}")
DAG_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]+")
"""Airflow's own pattern."""
PINNED = re.compile(r"(\w+) v(\d+)")


class Record(NamedTuple):
    """One run, deleted or not; `experiment` is the model's name."""

    run_id: str
    experiment: str
    experiment_id: str
    status: str
    started_at: datetime
    tags: dict[str, str]

    @property
    def url(self) -> str:
        pages = (settings().mlflow_pages or settings().mlflow_url).rstrip("/")
        return f"{pages}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    @property
    def dag_run(self) -> str | None:
        """The Airflow run that trained it, `<dag>/<run>`."""
        parts = self.tags.get(STEP_KEY, "").split("/")
        return "/".join(parts[:2]) if len(parts) > 1 else None

    @property
    def pinned(self) -> dict[str, int]:
        """The version of each table that its snapshot saw."""
        table, version = self.tags.get("perennial.table"), self.tags.get("perennial.table_version")
        told = self.tags.get("perennial.tables") or f"{table} v{version}"
        return {name: int(number) for name, number in PINNED.findall(told)}


def record_of(run_id: str) -> Record | None:
    """MLflow's record of a run, deleted or not; None where there is none.

    By a search, since MLflow tells a user who is no administrator of no single run whether it is there.

    Raises:
        RegistryError: MLflow does not answer, or not to this user.
    """
    found = _search(f"attributes.run_id = '{run_id}'") if ID.fullmatch(run_id) else []
    return found[0] if found else None


def run_of_version(model: str, number: str) -> str | None:
    """The run of a version; None where the registry has none. Raises as `record_of`."""
    with _explained():
        found = registry.client().search_model_versions(f"name = '{model}'")
    return next((str(each.run_id) for each in found if str(each.version) == number), None)


def version_of(model: str, run_id: str, number: str | None = None) -> ModelVersion | None:
    """The version that was registered for a run, or the one of this number; None where there is none.

    Raises:
        RegistryError: MLflow does not answer, or the version was not registered by Perennial.
    """
    with _explained():
        return registry.get_version(model, number) if number else registry.find_version(model, run_id)


def trainings_on(table: str) -> list[Record]:
    """Every run whose snapshot pinned a version of the table, oldest first. Raises as `record_of`."""
    found = _search("tags.`perennial.snapshot` LIKE '%'")
    return sorted((each for each in found if table in each.pinned), key=lambda each: each.started_at)


def trainings_of(dag_run_id: str) -> list[Record]:
    """Every run that runs of Airflow with this id made, of any DAG, oldest first. Raises as `record_of`."""
    found = _search(f"tags.`{STEP_KEY}` LIKE '%/{dag_run_id}/%'") if DAG_RUN_ID.fullmatch(dag_run_id) else []
    own = (each for each in found if (each.dag_run or "").endswith(f"/{dag_run_id}"))
    return sorted(own, key=lambda each: each.started_at)


def _search(condition: str) -> list[Record]:
    from mlflow.entities import ViewType

    client, records, token = registry.client(), list[Record](), None
    with _explained():
        names = _experiments(client)
        while True:
            page = client.search_runs([*names], condition, ViewType.ALL, PAGE_RUNS, page_token=token)
            records += [_record(run, names) for run in page]
            token = page.token
            if not token:
                return records


def _experiments(client: Any) -> dict[str, str]:
    """Their names by their ids."""
    from mlflow.entities import ViewType

    return {each.experiment_id: each.name for each in client.search_experiments(ViewType.ALL)}


def _record(run: Any, experiments: dict[str, str]) -> Record:
    return Record(
        run_id=run.info.run_id,
        experiment=experiments.get(run.info.experiment_id, ""),
        experiment_id=run.info.experiment_id,
        status=run.info.status,
        started_at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        tags=dict(run.data.tags),
    )


@contextmanager
def _explained() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise RegistryError(f"MLflow at {settings().mlflow_url} does not say: {error}") from error
