"""What the real TorchServe and the real MLflow server tell Prometheus, by the names that rules ask for."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from embedded.ports import free_port
from tests.conftest import PROJECT
from tests.services.conftest import Model, Platform, until

RECORDED = PROJECT / "tests" / "unit" / "compose" / "recorded_metrics.yaml"


def samples(text: str, name: str) -> dict[str, float]:
    """The values of a metric, by its labels as one text."""
    return {
        " ".join(f"{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_torchserve_exposes_what_is_recorded_of_it_at_the_port_of_its_metrics(
    platform: Platform, steady: Model
) -> None:
    assert platform.predict(steady.name, "hello").ok
    assert not platform.predict(steady.name, "fail").ok
    configured = (platform.torchserve_folder / "config.properties").read_text(encoding="utf-8")
    address = re.search(r"^metrics_address=(\S+)$", configured, re.MULTILINE)
    assert address is not None
    text = requests.get(f"{address[1]}/metrics", timeout=60).text
    names = yaml.safe_load(RECORDED.read_text(encoding="utf-8"))["torchserve"]["names"]
    families = {family.name for family in text_string_to_metric_families(text)}
    assert set(names) <= families
    told = re.search(r"^Requests2XX\{.*\} ([0-9.]+)$", text, re.MULTILINE)
    assert told is not None, "the name is as Prometheus keeps it, without _total"
    assert float(told[1]) >= 1


def test_mlflow_in_a_container_tells_prometheus_of_its_answers_past_its_log_in(
    mlflow_store: Path, tmp_path: Path
) -> None:
    port, metrics = free_port(), free_port()
    database = shutil.copy(mlflow_store, tmp_path / "mlflow.db")
    environment = {
        **os.environ,
        "PERENNIAL_MLFLOW_DATABASE_URL": f"sqlite:///{database}",
        "PERENNIAL_MLFLOW_ARTIFACTS_URL": str(tmp_path / "artifacts"),
        "PERENNIAL_MLFLOW_HOST": "127.0.0.1",
        "PERENNIAL_MLFLOW_PORT": str(port),
        "PERENNIAL_MLFLOW_METRICS_PORT": str(metrics),
        "PERENNIAL_MLFLOW_KEY": secrets.token_hex(16),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": secrets.token_hex(16),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, str(PROJECT / "containers" / "mlflow" / "serve.py")]
    with (tmp_path / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: requests.get(f"{url}/health", timeout=5).ok, seconds=180, what="MLflow")
        assert requests.get(f"{url}/api/2.0/mlflow/experiments/search", timeout=60).status_code == 401
        text = requests.get(f"http://127.0.0.1:{metrics}/metrics", timeout=60).text
    finally:
        server.terminate()
        server.wait(60)
    counted = samples(text, "mlflow_request_seconds_count")
    assert counted["method=GET status=401"] == 1
    assert counted["method=GET status=200"] >= 1
