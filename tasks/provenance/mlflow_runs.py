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
NOT_THERE = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
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
    """MLflow's record of a run; None where there is none.

    Raises:
        RegistryError: MLflow does not answer, or not to this user.
    """
    client = registry.client()
    with _explained():
        run = _none_if_missing(lambda: client.get_run(run_id))
        return None if run is None else _record(run, _experiments(client))


def run_of_version(model: str, number: str) -> str | None:
    """The run of a version; None where the registry has none. Raises as `record_of`."""
    client = registry.client()
    with _explained():
        found = _none_if_missing(lambda: client.get_model_version(model, number))
        return None if found is None else str(found.run_id)


def version_of(model: str, run_id: str, number: str | None = None) -> ModelVersion | None:
    """The version that was registered for a run, or the one of this number; None where there is none.

    Raises:
        RegistryError: MLflow does not answer, or the version was not registered by Perennial.
    """
    with _explained():
        return registry.get_version(model, number) if number else registry.find_version(model, run_id)


def trainings_on(table: str) -> list[Record]:
    """Every run whose snapshot pinned a version of the table, oldest first. Raises as `record_of`."""
    from mlflow.entities import ViewType

    client = registry.client()
    with _explained():
        experiments = _experiments(client)
        records: list[Record] = []
        token = None
        while True:
            page = client.search_runs(
                list(experiments), "tags.`perennial.snapshot` LIKE '%'", ViewType.ALL, PAGE_RUNS, None, token
            )
            records += [_record(run, experiments) for run in page]
            token = page.token
            if not token:
                break
    return sorted((each for each in records if table in each.pinned), key=lambda each: each.started_at)


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


def _none_if_missing(ask: Any) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code in NOT_THERE:
            return None
        raise


@contextmanager
def _explained() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise RegistryError(f"MLflow at {settings().mlflow_url} does not say: {error}") from error
