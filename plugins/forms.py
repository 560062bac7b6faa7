"""The forms of Airflow's trigger dialog, one a DAG family.

A value that breaks its schema is refused there and by the REST API.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Context, Param

from plugins.failures import StepInvalid
from tasks.contracts.predict_batch import INTO
from tasks.errors import InvalidProject
from tasks.spec import PRODUCTION, PipelineSpec, TableSpec
from tasks.spec.release import ENVIRONMENT
from tasks.training.mlproject import parameters

A_DAY = timedelta(days=1)
OPENLINEAGE = "openlineage"
"""Where OpenLineage is on, a run that a task starts has this beside the form's values: whose child it is."""

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


def require_sound(run: Context) -> None:
    """Refuse a run that asks for what there is not, in its first task; Airflow itself lets it pass.

    Raises:
        StepInvalid: The message names each fault.
    """
    known, conf = set(run["dag"].params), run["dag_run"].conf or {}
    if told := faults(known, conf, run["params"], run["dag_run"].run_after):
        raise StepInvalid(" ".join(told))


def faults(
    known: set[str], conf: Mapping[str, Any], params: Mapping[str, Any], run_after: datetime
) -> list[str]:
    """What is wrong with the values that a run was started with; a sentence each.

    Args:
        known: The names of the form's fields.
        conf: What the run was started with.
        params: The same over the form's defaults.
        run_after: When the run was asked for.
    """
    told = []
    if unknown := sorted(set(conf) - known - {OPENLINEAGE}):
        told.append(
            f"There is no parameter {', '.join(unknown)}. Known: {', '.join(sorted(known)) or 'none'}."
        )
    times = ("as_of",) if "as_of" in known else ("window_start", "window_end")
    given = {name: value for name in times if (value := params.get(name))}
    if impossible := [f"{name} ({value})" for name, value in given.items() if not _is_time(value)]:
        told.append(f"There is no such time as {' or '.join(impossible)}. Correct its day, year or zone.")
    elif "as_of" in given and datetime.fromisoformat(given["as_of"]) > run_after:
        told.append(f"as_of is {given['as_of']}, which lies in the future: no data is of that time yet.")
    elif "window_end" in known and "as_of" not in known:
        start, end = window(params, run_after)
        if start >= end:
            told.append(f"The window ends at {end.isoformat()}, not after its start at {start.isoformat()}.")
        elif end > run_after:
            told.append(f"window_end is {end.isoformat()}, which lies in the future: it is not over yet.")
    return told


def _is_time(value: str) -> bool:
    """Whether there is this time, in UTC too, with a day before it: 30 February fits the pattern."""
    try:
        datetime.fromisoformat(value).astimezone(UTC) - A_DAY
    except (ValueError, OverflowError):
        return False
    return True


def window(params: Mapping[str, Any], run_after: datetime) -> tuple[datetime, datetime]:
    """The window that the form of the drift check names; by default the day before
    the run, the same for each of its tries.
    """
    end = datetime.fromisoformat(params["window_end"]) if params["window_end"] else run_after
    start = datetime.fromisoformat(params["window_start"]) if params["window_start"] else end - A_DAY
    return start, end


def drift_form(_spec: PipelineSpec, _models: Path) -> dict[str, Param]:
    """The window of predictions to judge, [start, end)."""
    return {
        "window_start": _time("First time of prediction. Empty: one day before the end.", "Window start"),
        "window_end": _time("Predictions before this time. Empty: when the run starts.", "Window end"),
    }


def predict_batch_form(spec: PipelineSpec, _models: Path) -> dict[str, Param]:
    """The rows to predict, and where the predictions go."""
    return {
        "source": Param(
            description="A table of the lake, or one SELECT over its tables. It returns what the model "
            f"predicts from: {_few(spec.data.features)}. What else it returns stands beside the predictions.",
            title="Rows",
            type="string",
            minLength=1,
            maxLength=20_000,
            pattern=r"\S",
        ),
        "into": Param(
            description="The table of the lake that the predictions are appended to; made where it is "
            "missing. Lower-case letters, digits and single underscores.",
            title="Predictions go to",
            type="string",
            maxLength=100,
            pattern=INTO,
        ),
        "as_of": _time("The tables as they were at this time. Empty: when the run starts.", "Data as of"),
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


def withdrawal_form(_subject: str, _models: Path) -> dict[str, Param]:
    """The model to withdraw, and why."""
    return {
        "model": model_field("Its folder has to be removed already."),
        "reason": reason_field("Why it is served no longer; the ledger keeps it."),
    }


def rollback_form(_subject: str, _models: Path) -> dict[str, Param]:
    """The model whose requests go back to the version that served before, and why."""
    return {
        "model": model_field("Its requests go back to the version that served before the present one."),
        "reason": reason_field("Why; the ledger keeps it."),
        "leaving": Param(
            None,
            "The number of the version to leave. Empty: whichever serves by then.",
            type=["string", "null"],
            pattern=r"^[0-9]+$",
            title="Version to leave",
        ),
        "environment": Param(
            PRODUCTION,
            "Where; production, or an environment before it.",
            type="string",
            pattern=f"^{ENVIRONMENT.pattern}$",
            title="Environment",
        ),
    }


def reproduction_form(_spec: PipelineSpec, _models: Path) -> dict[str, Param]:
    """The version to train again."""
    return {
        "version": Param(
            None,
            "The number of the version to train again. Empty: the champion.",
            type=["string", "null"],
            pattern=r"^[1-9][0-9]*$",
            title="Version",
        ),
        "code": Param(
            "recorded",
            "recorded: the code of the commit that it was trained from. here: the files of this project.",
            type="string",
            enum=["recorded", "here"],
            title="Code",
        ),
    }


def batch_form(_subject: str, _models: Path) -> dict[str, Param]:
    """The batch, what is decided about it, and why."""
    return {
        "model": model_field("Whose trainings see the batch, or do not."),
        "batch_id": Param(
            description="As the failed task report_quarantined and the ledger name it.",
            title="Batch",
            type="string",
            minLength=1,
        ),
        "decision": Param(
            description="release: train on it. confirm: never train on it.",
            title="Decision",
            type="string",
            enum=["release", "confirm"],
        ),
        "reason": reason_field("How you know; the ledger keeps it."),
    }


def sender_form(_subject: str, _models: Path) -> dict[str, Param]:
    """The sender, what is decided about what is held of it, and why."""
    return {
        "model": model_field("Whose trainings see the sender's labelled requests, or do not."),
        "sender": Param(
            "",
            description="The name of its token, as the ledger has it. Empty: requests without a token.",
            title="Sender",
            type="string",
        ),
        "decision": Param(
            description="release: train on what is held. confirm: never train on it.",
            title="Decision",
            type="string",
            enum=["release", "confirm"],
        ),
        "day": Param(
            None,
            description="Only what was asked on this day (UTC), such as 2026-01-31. Empty: all.",
            title="Day",
            type=["string", "null"],
            pattern=f"^{_DATE}$",
        ),
        "held_for": Param(
            None,
            description="Only what is held for this reason; what is held for another, too, stays held. "
            "Empty: all.",
            title="Held for",
            type=["string", "null"],
            enum=[None, "flood", "probing", "out_of_distribution"],
        ),
        "reason": reason_field("How you know; the ledger keeps it."),
    }


def recall_form(_subject: str, _models: Path) -> dict[str, Param]:
    """The batches to leave out of every later training, and why."""
    return {
        "batch_ids": Param(
            description="Their ids, one a line; `perennial why FILE` says one, for the name of the file that "
            "landed.",
            title="Batches",
            type="array",
            items={"type": "string", "minLength": 1, "pattern": r"\S"},
            minItems=1,
        ),
        "table": Param(
            None,
            "The table that they are in. Empty: whichever has it.",
            type=["string", "null"],
            pattern=r"^[a-z][a-z0-9_]{0,62}$",
            title="Table",
        ),
        "reason": reason_field("Why; the ledger keeps it."),
    }


def explanation_form(_subject: str, _models: Path) -> dict[str, Param]:
    """The name of what is to be explained."""
    return {
        "subject": Param(
            description="A prediction's id, a version (model/3), a run's id (MLflow's or Airflow's), an "
            "entry's number in the ledger, a batch's id or file, a row (table:key), or a model.",
            title="What",
            type="string",
            minLength=1,
            maxLength=300,
            pattern=r"\S",
        )
    }


def label_incident_form(_subject: str, _models: Path) -> dict[str, Param]:
    """What the new labels are on which the gate found that the champion falls, and how one knows."""
    return {
        "model": model_field("Its candidates are held until this is answered."),
        "answer": Param(
            description="poison: the labels are wrong; recall their batches (recall_batch), or they are "
            "trained on again. the_world: they are right, and candidates are judged on them from now on.",
            title="Answer",
            type="string",
            enum=["poison", "the_world"],
        ),
        "reason": reason_field("How you know; the ledger keeps it."),
    }


def no_form(_subject: Any, _models: Path) -> dict[str, Param]:
    """Nothing to ask."""
    return {}


def model_field(description: str) -> Param:
    """The field that asks for a model's name."""
    name = {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,62}$"}
    return Param(description=description, title="Model", schema=name)


def reason_field(description: str) -> Param:
    """The field that asks why; it may not be blank."""
    return Param(description=description, title="Reason", type="string", minLength=1, pattern=r"\S")


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:10], *(["..."] if names[10:] else [])])


def _time(description: str, title: str) -> Param:
    return Param(None, description, type=["string", "null"], format="date-time", pattern=_TIME, title=title)


def _parameter(spec: PipelineSpec, name: str, fragment: dict[str, Any]) -> Param:
    schema = {"title": name, "section": f"Parameters of {spec.name}"} | fragment
    return Param(schema.pop("default"), schema.pop("description", None), schema=schema)
