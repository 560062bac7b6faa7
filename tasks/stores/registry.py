"""MLflow's registry: the versions of a model, what each of them came from, and which one is the champion.

A version is made in one call with all of its tags, so that it is there whole or not at all; its tags are read
back into `ModelVersion`. Nothing here moves the alias but `set_champion`, which the deployment calls when the
version truly serves, and `remove_champion`, when a model is withdrawn.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.contracts import Archive, ModelVersion, TrainingRun
from tasks.errors import InvalidProject, InvalidRequest, RegistryError
from tasks.settings import settings
from tasks.stores import files

ALIAS = "champion"
ARCHIVE = "perennial.archive"
DECISION = "perennial.decision_hash"
ROOT = "perennial.root_run_id"
LINEAGE = "lineage/training_run.json"
SURROUNDINGS = "lineage/surroundings.json"


def client() -> Any:
    """A client of the settings' MLflow server, which is also set for MLflow's own functions."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # A command's output and a step's log are no place for bars, for a file of a few lines.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    mlflow.set_tracking_uri(settings().mlflow_url)
    return mlflow.MlflowClient(settings().mlflow_url)


def champion(model: str) -> ModelVersion | None:
    """The version that the alias `champion` names; None before the first deployment.

    Raises:
        RegistryError: It names a version that Perennial did not register.
    """
    version = aliased_version(model)
    return None if version is None else get_version(model, version)


def aliased_version(model: str, alias: str = ALIAS) -> str | None:
    """The number of the version that an alias names, whoever registered it; None without one."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client().get_model_version_by_alias(model, alias).version)
    except MlflowException as error:
        # A model that nobody registered is RESOURCE_DOES_NOT_EXIST, or PERMISSION_DENIED for a user who is
        # no administrator; one without the alias is INVALID_PARAMETER_VALUE. Every other fault is raised: a
        # server that is down must not look like a model without a champion.
        no_alias = error.error_code == "INVALID_PARAMETER_VALUE" and f"alias {alias} not found" in str(error)
        hidden = error.error_code == "PERMISSION_DENIED" and not _is_listed(model)
        if no_alias or hidden or error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _is_listed(model: str) -> bool:
    """Whether there is a registered model of this name that this user may read."""
    return bool(client().search_registered_models(f"name = '{model}'"))


def registered_models() -> list[dict[str, Any]]:
    """Every registered model as `mlflow_rest.registered_models` has it."""
    found, token = [], None
    while token != "":
        page = client().search_registered_models(max_results=1000, page_token=token)
        found += [
            {
                "name": model.name,
                "aliases": [{"alias": alias, "version": str(each)} for alias, each in model.aliases.items()],
                "tags": [{"key": key, "value": value} for key, value in model.tags.items()],
            }
            for model in page
        ]
        token = page.token or ""
    return found


def tag_model(model: str, name: str, value: str) -> None:
    """Set a tag of a registered model."""
    client().set_registered_model_tag(model, name, value)


def set_alias(model: str, alias: str, version: str) -> None:
    """Let an alias name this version: `champion` of production, or the name of another environment."""
    client().set_registered_model_alias(model, alias, version)


def remove_alias(model: str, alias: str) -> None:
    """Let an alias name no version."""
    client().delete_registered_model_alias(model, alias)


def set_champion(model: str, version: str) -> None:
    """Let the alias `champion` name this version."""
    set_alias(model, ALIAS, version)


def remove_champion(model: str) -> None:
    """Let the alias `champion` name no version."""
    remove_alias(model, ALIAS)


def find_version(model: str, run_id: str) -> ModelVersion | None:
    """The version that was registered for a run; None where there is none.

    The oldest, should there be several.
    """
    found = client().search_model_versions(f"name = '{model}' and run_id = '{run_id}'")
    judged = [each for each in found if {ARCHIVE, DECISION} <= set(each.tags)]
    return _version(min(judged, key=lambda each: int(each.version))) if judged else None


def get_version(model: str, version: str) -> ModelVersion:
    """One version by its number.

    Raises:
        RegistryError: It was not registered by Perennial.
    """
    return _version(client().get_model_version(model, version))


def named_version(model: str, number: str) -> ModelVersion:
    """The version that a person means by its number.

    Raises:
        InvalidRequest: The model has none of this number; its versions are named.
        RegistryError: It was not registered by Perennial.
    """
    known = version_numbers(model)
    if number not in known:
        there = f"There are {', '.join(known)}." if known else "None is registered: train it first."
        raise InvalidRequest(f"There is no version {number} of {model!r}. {there}", known=known)
    return get_version(model, number)


def versions_by_number(model: str) -> dict[str, dict[str, str]]:
    """The tags of every version of a model, by its number."""
    found: dict[str, dict[str, str]] = {}
    token = None
    while token != "":
        page = client().search_model_versions(f"name = '{model}'", page_token=token)
        found |= {str(each.version): dict(each.tags) for each in page}
        token = page.token or ""
    return found


def version_numbers(model: str) -> list[str]:
    """The number of every version that there is, in their order; none of a model that nobody registered."""
    return sorted(versions_by_number(model), key=int)


def create_version(model: str, run_id: str, tags: dict[str, str]) -> ModelVersion:
    """Register the model that a run logged; the registered model itself is made where it is missing.

    Raises:
        InvalidProject: The run logged no model.
    """
    from mlflow.exceptions import MlflowException

    mlflow = client()
    try:
        mlflow.create_registered_model(model, tags={"perennial.model": model})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    outputs = mlflow.get_run(run_id).outputs
    if outputs is None or not outputs.model_outputs:
        raise InvalidProject(
            f"The MLflow run {run_id} of {model!r} logged no model. Let models/{model}'s training program "
            "call mlflow.pyfunc.log_model or mlflow.pytorch.log_model."
        )
    model_id = max(outputs.model_outputs, key=lambda output: output.step).model_id
    return _version(
        mlflow.create_model_version(
            model, source=f"models:/{model_id}", run_id=run_id, model_id=model_id, tags=tags
        )
    )


def tag_version(version: ModelVersion, tags: dict[str, str]) -> ModelVersion:
    """Give a version other tags; the decision that promoted it comes last."""
    mlflow = client()
    for name, value in sorted(tags.items(), key=lambda tag: tag[0] == DECISION):
        mlflow.set_model_version_tag(version.model, version.version, name, value)
    return get_version(version.model, version.version)


def describe_version(model: str, number: str, text: str) -> None:
    """Let MLflow's page of a version show this text, which is Markdown."""
    client().update_model_version(model, number, text)


def training_run(run_id: str) -> TrainingRun:
    """What a run was trained from, as its artifact says.

    Raises:
        RegistryError: The run has no such artifact: it was not made by a Perennial training, or it is
            incomplete.
    """
    from mlflow.exceptions import MlflowException

    try:
        return TrainingRun.model_validate_json(_load_text(run_id, LINEAGE))
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"The MLflow run {run_id} has no artifact {LINEAGE}, so nobody can say what it was trained on: "
            f"{error}"
        ) from error


def read_text(run_id: str, path: str) -> str | None:
    """A text that was kept with a run; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return _load_text(run_id, path)
    except (MlflowException, OSError):
        if _is_kept(run_id, path):
            raise
        return None


def fetch_artifact(run_id: str, path: str, folder: Path) -> Path | None:
    """Copy a file that was kept with a run into a local folder; None where there is none."""
    if not _is_kept(run_id, path):
        return None
    return Path(client().download_artifacts(run_id, path, str(folder)))


def run_tags(run_id: str) -> dict[str, str]:
    """The tags of a run."""
    return dict(client().get_run(run_id).data.tags)


def run_seconds(run_id: str) -> float | None:
    """How long a run took; None where it has not ended."""
    found = client().get_run(run_id).info
    return None if found.end_time is None else (found.end_time - found.start_time) / 1000


def log_text(run_id: str, path: str, text: str) -> None:
    """Keep a text with a run, as the artifact `path`."""
    client().log_text(run_id, text, path)


def log_file(run_id: str, folder: str, url: str) -> None:
    """Keep a file of the store with a run, in the artifact folder `folder`."""
    with tempfile.TemporaryDirectory(prefix="perennial-artifact-") as scratch:
        client().log_artifact(run_id, str(files.fetch(url, Path(scratch) / files.at(url).name)), folder)


def log_metrics(run_id: str, values: Mapping[str, float]) -> None:
    """Log numbers with a run, all at one time."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    client().log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in values.items()])


def metrics(run_id: str) -> dict[str, float]:
    """The newest value of each metric of a run."""
    return dict(client().get_run(run_id).data.metrics)


def tag_run(run_id: str, tags: dict[str, str]) -> None:
    """Set tags of a run; MLflow keeps 8,000 characters of each."""
    mlflow = client()
    for name, value in tags.items():
        mlflow.set_tag(run_id, name, value[:8000])


def _is_kept(run_id: str, path: str) -> bool:
    listed = client().list_artifacts(run_id, str(PurePosixPath(path).parent))
    return path in [artifact.path for artifact in listed]


def _load_text(run_id: str, path: str) -> str:
    client()
    import mlflow

    return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{path}"))


def _version(found: Any) -> ModelVersion:
    tags = dict(found.tags)
    if ARCHIVE not in tags or DECISION not in tags:
        raise RegistryError(
            f"Version {found.version} of the registered model {found.name!r} has no tag {ARCHIVE}: it was "
            "not registered by Perennial, so nothing says which archive the gate judged. Move the alias "
            f"{ALIAS!r} to a version that has it."
        )
    return ModelVersion(
        model=found.name,
        version=str(found.version),
        run_id=found.run_id,
        archive=Archive.model_validate_json(tags[ARCHIVE]),
        decision_ledger_hash=tags[DECISION],
        tags=tags,
    )
