"""A real Prometheus with our configuration and rules, before a real gateway; and what it scrapes is there."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from embedded.ports import free_port
from tests.conftest import PROJECT
from tests.unit.compose.observability import FOLDER, RULES, promtool
from tests.unit.gateway.models import route, serving
from tests.unit.gateway.processes import running, until

PORTS = {
    "prometheus": 9090,
    "alertmanager": 9093,
    "gateway": 8000,
    "torchserve": 8087,
    "mlflow": 5001,
    "statsd-exporter": 9102,
    "postgres-exporter": 9187,
    "node-exporter": 9100,
}
"""Where each service answers by its own settings, in docker-compose.yaml or by default."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    return loaded


def configuration() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    return loaded


def test_prometheus_takes_the_configuration_and_its_rules(tmp_path: Path) -> None:
    told = configuration() | {"rule_files": [str(file) for file in RULES]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_scraped_is_a_service_that_prometheus_reaches(compose: dict[str, Any]) -> None:
    services = compose["services"]
    reached = set(services["prometheus"]["networks"])
    for scraped in configuration()["scrape_configs"]:
        for target in (one for group in scraped.get("static_configs", ()) for one in group["targets"]):
            name, _, port = target.partition(":")
            name = name.replace("localhost", "prometheus")
            assert PORTS[name] == int(port), target
            assert reached & set(services[name]["networks"]), f"{name} is on no network of Prometheus'"
        for group in scraped.get("dns_sd_configs", ()):
            assert set(group["names"]) <= set(services)
            assert all(reached & set(services[name]["networks"]) for name in group["names"])


def test_what_is_mounted_is_there_and_what_airflow_sends_to_listens(compose: dict[str, Any]) -> None:
    services = compose["services"]
    mounts = [
        volume.split(":")[0]
        for name in ("prometheus", "statsd-exporter", "grafana")
        for volume in services[name]["volumes"]
        if volume.startswith("./")
    ]
    assert [mount for mount in mounts if not (PROJECT / mount).exists()] == []
    assert len(mounts) == 5
    airflow, exporter = services["airflow-scheduler"], services["statsd-exporter"]
    assert airflow["environment"]["AIRFLOW__METRICS__STATSD_HOST"] == "statsd-exporter"
    port = airflow["environment"]["AIRFLOW__METRICS__STATSD_PORT"]
    assert f"--statsd.listen-udp=:{port}" in exporter["command"]
    for name in ("airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "worker-default"):
        assert set(services[name]["networks"]) & set(exporter["networks"]), name


@contextmanager
def prometheus(folder: Path, gateway_port: int) -> Iterator[str]:
    """Ours, but for the gateway's address, for what cannot be here, and for its pace."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed here (Debian's package prometheus)")
    told = configuration() | {"rule_files": [str(folder / "rules" / "*.yaml")], "alerting": {}}
    told["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    told["scrape_configs"] = [each for each in told["scrape_configs"] if each["job_name"] == "gateway"]
    told["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{gateway_port}"]
    (folder / "rules").mkdir()
    for file in RULES:
        text = file.read_text(encoding="utf-8").replace("interval: 30s", "interval: 1s")
        (folder / "rules" / file.name).write_text(text, encoding="utf-8")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
    port = free_port()
    arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *arguments, f"--web.listen-address=127.0.0.1:{port}"],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: requests.get(f"{url}/-/ready", timeout=10).ok, f"Prometheus (see {folder})")
        yield url
    finally:
        process.terminate()
        process.wait(60)


def asked(url: str, query: str) -> dict[str, float]:
    """The value of each series, by its model, job or name."""
    answer = requests.get(f"{url}/api/v1/query", params={"query": query}, timeout=30).json()
    assert answer["status"] == "success", answer
    of = ("model", "job", "alertname")
    return {
        next((each["metric"][name] for name in of if name in each["metric"]), ""): float(each["value"][1])
        for each in answer["data"]["result"]
    }


def test_it_sees_a_gateway_whose_model_fails_and_that_it_is_gone(tmp_path: Path) -> None:
    with serving() as models:
        models.add("1", 1)
        with running(models, tmp_path, f"sqlite:///{tmp_path / 'gateway.db'}", workers=1) as gateway:
            gateway.put(route("1"))
            with prometheus(tmp_path, gateway.port) as url:
                until(lambda: asked(url, "up") == {"gateway": 1}, "the gateway to be scraped")
                assert gateway.predict().ok
                models.add("1", {"status": 500, "error": "The model failed on this instance: KeyError."})
                assert not gateway.predict().ok

                def fails() -> bool:
                    assert not gateway.predict().ok
                    return asked(url, "model:failed:share5m").get("m", 0) > 0.5

                until(fails, "the share of failed requests")
                until(lambda: asked(url, 'ALERTS{alertname="ModelFails"}'), "the alert to come up")
                assert asked(url, "count(ALERTS{alertname=~'.*Burns.*'})") == {}, "nothing was promised"
                gateway.process.kill()
                until(lambda: asked(url, "up") == {"gateway": 0}, "the gateway to be missed")
                until(lambda: asked(url, 'ALERTS{alertname="ServiceDown"}'), "the alert to come up")
