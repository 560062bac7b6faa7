"""The models and tables that DAGs are made for, and what is wrong with those that none can be made for.

A DAG file that raises loses all its DAGs: Airflow marks them stale and runs none of them. So the makers skip a model that is
wrong, and dags/invalid_models.py, which has no DAG to lose, raises for it.
"""

from airflow.sdk.exceptions import AirflowTimetableInvalid

from plugins.forms import training_form
from plugins.schedules import cron
from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.spec import PipelineSpec, TableSpec, read_specs, table_of


def models() -> dict[str, PipelineSpec]:
    """Each model that DAGs can be made for, by name."""
    return {spec.name: spec for spec in _read()[0]}


def tables() -> dict[str, TableSpec]:
    """Each table that one of these models is trained on, by name."""
    return {spec.data.table: table_of(spec) for spec in _read()[0]}


def raise_faults() -> None:
    """Say what is wrong with the other models: file, field, and what to do.

    Raises:
        InvalidProject: At least one model is wrong.
    """
    _, faults = _read()
    if faults:
        raise InvalidProject("\n".join(str(fault) for fault in faults))


def _read() -> tuple[list[PipelineSpec], tuple[InvalidProject, ...]]:
    specs, faults = read_specs(settings().models)
    usable, unusable = [], list(faults)
    for spec in specs:
        try:
            _check(spec)
        except InvalidProject as fault:
            unusable.append(fault)
        else:
            usable.append(spec)
    return usable, tuple(unusable)


def _check(spec: PipelineSpec) -> None:
    """What only Airflow can say of a specification: its cron expressions, and whether its form accepts its own defaults."""
    training_form(spec)
    for field, expression in (("training.schedule", spec.training.schedule), ("monitor.schedule", spec.monitor.schedule)):
        if expression is None:
            continue
        try:
            cron(expression).validate()
        except AirflowTimetableInvalid as error:
            path = settings().models / spec.name / "pipeline.yaml"
            raise InvalidProject(f"{path}: {field}: {expression!r} is not a cron expression ({error}). Correct it.") from error
