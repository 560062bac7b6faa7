"""The models and tables that DAGs are made for, and what is wrong with those that none can be made for.

A DAG file that raises loses all its DAGs: Airflow marks them stale and runs none of them. So the makers skip
a model that is wrong, and dags/invalid_models.py, which has no DAG to lose, raises for it.

The models are those of the checkout that the DAG file lies in, not those of the image that Airflow runs in: a
run that is pinned to a commit has the specification of that commit.
"""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from airflow.sdk.exceptions import AirflowTimetableInvalid

from plugins.forms import training_form
from plugins.schedules import cron
from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.spec import PipelineSpec, TableSpec, behaviour_file, read_specs, unforeseen

DESCRIBED_BY = ("pipeline.yaml", "MLproject", behaviour_file.NAME)
"""The files of a model's folder that a specification and its form are read from."""


def folder_of(dag_file: str) -> Path:
    """The models folder of the checkout that a file of dags/ lies in, or the
    one that PERENNIAL_MODELS names.
    """
    given = "models" in settings().model_fields_set
    return settings().models if given else Path(dag_file).resolve().parents[1] / "models"


def models(folder: Path) -> dict[str, PipelineSpec]:
    """Each model of `folder` that DAGs can be made for, by name."""
    return {spec.name: spec for spec in _read(folder)[0]}


def tables(folder: Path) -> dict[str, TableSpec]:
    """Each table that one of these models is trained on, or joins, by name."""
    return {table.table: table for spec in _read(folder)[0] for table in spec.data.all_tables}


def raise_faults(dag_file: str) -> None:
    """Say what is wrong with the other models: file, field, and what to do.

    Raises:
        InvalidProject: There is no models folder, or at least one model is wrong.
    """
    folder = folder_of(dag_file)
    if not folder.is_dir():
        raise InvalidProject(
            f"There is no folder {folder}, so there are no DAGs. Deliver models/ beside dags/, as the "
            "repository has them, or set PERENNIAL_MODELS to where they lie."
        )
    if faults := _read(folder)[1]:
        raise InvalidProject("\n".join(str(fault) for fault in faults))


def _read(folder: Path) -> tuple[tuple[PipelineSpec, ...], tuple[InvalidProject, ...]]:
    """The models of a folder, checked once for all the files of dags/ that one process parses."""
    return _checked(folder, fingerprint(folder))


def fingerprint(folder: Path) -> bytes:
    """The SHA-256 of what each model's files of a specification hold; one that cannot be read counts too."""
    texts = sha256()
    for path in sorted(path for name in DESCRIBED_BY for path in folder.glob(f"*/{name}")):
        try:
            held = path.read_bytes()
        except OSError as error:
            held = repr(error).encode()
        texts.update(repr((str(path), held)).encode())
    return texts.digest()


@lru_cache(maxsize=1)
def _checked(folder: Path, _held: bytes) -> tuple[tuple[PipelineSpec, ...], tuple[InvalidProject, ...]]:
    specs, faults = read_specs(folder)
    usable, unusable = [], list(faults)
    for spec in specs:
        try:
            _check(spec, folder)
        except InvalidProject as fault:
            unusable.append(fault)
        except Exception as error:  # noqa: BLE001 - whatever one model raises must not take away the others
            unusable.append(unforeseen(folder / spec.name, error))
        else:
            usable.append(spec)
    return tuple(usable), tuple(unusable)


def _check(spec: PipelineSpec, folder: Path) -> None:
    """What only Airflow can say of a specification: its cron
    expressions, and whether its form accepts its own defaults.
    """
    for param in training_form(spec, folder).values():
        param.resolve()
    for field, expression in (
        ("training.schedule", spec.training.schedule),
        ("monitor.schedule", spec.monitor.schedule),
    ):
        if expression is None:
            continue
        try:
            cron(expression).validate()
        except AirflowTimetableInvalid as error:
            path = folder / spec.name / "pipeline.yaml"
            raise InvalidProject(
                f"{path}: {field}: {expression!r} is not a cron expression ({error}). Correct it."
            ) from error
