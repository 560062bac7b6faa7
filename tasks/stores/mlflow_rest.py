"""MLflow asked over its REST API, for looks that must be light: its own client takes seconds to import."""

import os
from typing import Any

import requests

from tasks.errors import MlflowRefused, ServiceAway
from tasks.settings import settings

TIMEOUT_SECONDS = 10
NOT_THERE = "RESOURCE_DOES_NOT_EXIST"


def experiment(name: str) -> dict[str, Any] | None:
    """MLflow's record of an experiment, deleted or not; None where there is none.

    Raises:
        ServiceAway: MLflow does not answer.
        MlflowRefused: It does not answer this user.
    """
    answer = _ask("GET", "experiments/get-by-name", params={"experiment_name": name})
    return answer["experiment"] if answer else None


def run(experiment_id: str, run_id: str) -> dict[str, Any] | None:
    """MLflow's record of a run of the experiment, deleted or not; None where there is none.

    By a search, since MLflow refuses to say of a single run whether it is there. Raises as `experiment`.
    """
    wanted = {
        "experiment_ids": [experiment_id],
        "filter": f"attributes.run_id = '{run_id}'",
        "run_view_type": "ALL",
    }
    found = (_ask("POST", "runs/search", json=wanted) or {}).get("runs", [])
    return found[0] if found else None


def is_registered(model: str, run_id: str) -> bool:
    """Whether the registered model has a version of this run. Raises as `experiment`."""
    return registered_version(model, run_id) is not None


def registered_version(model: str, run_id: str) -> str | None:
    """The number of the oldest version of this run in the registered model; None where there is none.

    Raises as `experiment`.
    """
    wanted = {"filter": f"name = '{model}' and run_id = '{run_id}'"}
    found = (_ask("GET", "model-versions/search", params=wanted) or {}).get("model_versions", [])
    return min((str(each["version"]) for each in found), key=int, default=None)


def aliased_version(model: str, alias: str) -> str | None:
    """The number of the version that an alias names; None without one. Raises as `experiment`."""
    answer = _ask("GET", "registered-models/get", params={"name": model})
    aliases = answer["registered_model"].get("aliases", []) if answer else []
    return next((str(each["version"]) for each in aliases if each["alias"] == alias), None)


def registered_models(login: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    """MLflow's record of every registered model, its aliases and tags in it. Raises as `experiment`.

    Args:
        login: Name and password; without it, those that MLflow's own client logs in with.
    """
    found: list[dict[str, Any]] = []
    wanted: dict[str, str | int] = {"max_results": 1000}
    while True:
        page = _ask("GET", "registered-models/search", login, params=wanted) or {}
        found += page.get("registered_models", [])
        if not page.get("next_page_token"):
            return found
        wanted["page_token"] = page["next_page_token"]


def _ask(method: str, path: str, login: tuple[str, str] | None = None, **how: Any) -> dict[str, Any] | None:
    url = settings().mlflow_url.rstrip("/")
    # What MLflow's own client logs in with.
    own = os.environ.get("MLFLOW_TRACKING_USERNAME", ""), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    login = login or own
    who = login if any(login) else None
    try:
        answer = requests.request(
            method, f"{url}/api/2.0/mlflow/{path}", auth=who, timeout=TIMEOUT_SECONDS, **how
        )
        if answer.status_code in {401, 403}:
            raise MlflowRefused(
                f"MLflow at {url} (PERENNIAL_MLFLOW_URL) refuses the user {login[0] or 'without a name'}: "
                f"HTTP {answer.status_code}, {answer.text[:200]} Give Airflow's workers the key that MLflow "
                "has (PERENNIAL_MLFLOW_KEY), or where MLflow has users of its own, MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD.",
                status=answer.status_code,
            )
        if answer.status_code == 404 and answer.json().get("error_code") == NOT_THERE:
            return None
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
    except requests.RequestException as error:
        raise ServiceAway(f"MLflow does not answer at {url} (PERENNIAL_MLFLOW_URL): {error}") from error
    return document
