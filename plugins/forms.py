"""The forms of Airflow's trigger dialog, one a DAG family.

A value that breaks its schema is refused there and by the REST API.
"""

from pathlib import Path
from typing import Any

from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from tasks.errors import InvalidProject
from tasks.spec import PipelineSpec, TableSpec
from tasks.training.mlproject import parameters

# Airflow draws a picker for the format `date-time` but does not check it, so the pattern does.
_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_TIME = rf"^{_DATE}T{_CLOCK}(Z|[+-]\d\d:?\d\d)$"


def training_form(spec: PipelineSpec, models: Path) -> dict[str, Param]:
    """The model's own parameters, why this training is asked for, and the time whose data it sees.

    Args:
        spec: The model.
        models: The folder that it was read from; its MLproject lies there too.

    Raises:
        InvalidProject: MLproject or pipeline.yaml declares a parameter whose name or default the form cannot
            take.
    """
    own = {
        "reason": Param(
            None,
            "Why this training is asked for; it is kept with the run.",
            type=["string", "null"],
            title="Reason",
        ),
        "as_of": _time(
            "Train on the data as it was at this time (with a zone). Empty: as it is now.", "Data as of"
        ),
    }
    taken = parameters(spec, models)
    if both := sorted(set(own) & set(taken)):
        raise InvalidProject(
            f"models/{spec.name}/MLproject: the parameters {both} are the form's own. Rename yours."
        )
    return {name: _parameter(spec, name, fragment) for name, fragment in taken.items()} | own


def drift_form(_spec: PipelineSpec, _models: Path) -> dict[str, Param]:
    """The window of predictions to judge, [start, end)."""
    return {
        "window_start": _time("First time of prediction. Empty: one day before the end.", "Window start"),
        "window_end": _time("Predictions before this time. Empty: when the run starts.", "Window end"),
    }


def ingest_form(table: TableSpec, _models: Path) -> dict[str, Param]:
    """The files to ingest."""
    return {
        "files": Param(
            None,
            f"Names in the landing folder of {table.table}, one a line. Empty: every file that lies there.",
            type=["array", "null"],
            items={"type": "string", "minLength": 1, "pattern": r"^[^/\\.][^/\\]*$"},
            title="Files",
        )
    }


def no_form(_subject: Any, _models: Path) -> dict[str, Param]:
    """Nothing to ask."""
    return {}


def _time(description: str, title: str) -> Param:
    return Param(None, description, type=["string", "null"], format="date-time", pattern=_TIME, title=title)


def _parameter(spec: PipelineSpec, name: str, fragment: dict[str, Any]) -> Param:
    schema = {"title": name, "section": f"Parameters of {spec.name}"} | fragment
    param = Param(schema.pop("default"), schema.pop("description", None), schema=schema)
    try:
        param.resolve()
    except ParamValidationError as error:
        reason = str(error).partition("\n")[0]
        raise InvalidProject(
            f"models/{spec.name}/MLproject: the default of {name!r} breaks its own schema: {reason}."
        ) from error
    return param
