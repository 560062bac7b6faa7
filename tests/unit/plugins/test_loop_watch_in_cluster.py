"""`loop-watch` in a cluster: a Deployment beside Airflow's chart, with what it needs to know and no more."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tasks.settings import Settings
from tests.conftest import PROJECT
from tests.unit.plugins.test_pod import MANIFESTS, SUPPORTED

SECRETS = {"PERENNIAL_DATABASE_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY"}


@pytest.fixture(scope="module")
def deployment() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((MANIFESTS / "loop-watch.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def container(deployment: dict[str, Any]) -> dict[str, Any]:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((MANIFESTS / "values.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("version", SUPPORTED)
def test_it_is_valid(deployment: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(deployment, version, strict=True)
    spec = deployment["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate"), "two would tell everything twice"


def test_it_runs_as_the_service_of_the_containers_does(container: dict[str, Any]) -> None:
    composed = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    service = composed["services"]["loop-watch"]
    assert container["command"] == service["command"]
    assert container["livenessProbe"]["exec"]["command"] == ["sh", "-c", service["healthcheck"]["test"][1]]


def test_it_knows_what_the_chart_s_values_say_and_three_secrets(
    container: dict[str, Any], values: dict[str, Any]
) -> None:
    image = f"{values['defaultAirflowRepository']}@{values['defaultAirflowDigest']}"
    assert container["image"] == image
    secret = {each["name"] for each in container["env"] if "valueFrom" in each}
    assert secret == SECRETS
    told = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    of_chart = {each["name"]: each["value"] for each in values["env"]} | {
        "AIRFLOW_HOME": values["airflowHome"]
    }
    assert told == {name: of_chart[name] for name in told}
    ours = {
        name.removeprefix("PERENNIAL_").lower() for name in {*told, *secret} if name.startswith("PERENNIAL_")
    }
    assert ours <= set(Settings.model_fields)
    of_both = yaml.safe_load(values["extraEnvFrom"])
    assert container["envFrom"] == [
        each for each in of_both if each["secretRef"]["name"] == "perennial-alerts"
    ]


def test_what_it_is_told_is_enough_to_look(container: dict[str, Any], tmp_path: Path) -> None:
    """Started with the manifest's environment alone, where a file is each database."""
    mark = tmp_path / "looked"
    secrets = {
        "PERENNIAL_DATABASE_URL": f"sqlite:///{tmp_path / 'platform.db'}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
        "AIRFLOW__CORE__FERNET_KEY": "",
    }
    told = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), **told, **secrets}
    environment |= {"AIRFLOW_HOME": str(tmp_path)}
    command = [sys.executable, *container["command"][1:-1], str(mark)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        watcher = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 120
        while not mark.exists():
            assert watcher.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, log.read_text(encoding="utf-8")
            time.sleep(0.1)
    finally:
        watcher.kill()
        watcher.wait(60)
    assert "cannot be read" not in log.read_text(encoding="utf-8")
