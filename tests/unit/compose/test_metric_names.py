"""Every metric that a rule or a dashboard names is one that a real service exposes."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from perennial_gateway.metrics import REGISTRY
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from embedded.ports import free_port
from plugins.objectives import LOOKED, PREFIX
from tasks.contracts import Estimate, ModelFigures
from tasks.monitoring.slo.gauges import gauges_of
from tests.conftest import PROJECT
from tests.unit.cli.test_objectives import objective
from tests.unit.compose.observability import DASHBOARDS, FOLDER, names_in, queries, rules
from tests.unit.gateway.models import route, serving
from tests.unit.gateway.postgres import postgres_url
from tests.unit.gateway.processes import running, until

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}
RECORDED = yaml.safe_load(Path(__file__).with_name("recorded_metrics.yaml").read_text(encoding="utf-8"))
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def wanted() -> dict[str, set[str]]:
    """Each name with what asks for it; those that rules record are theirs."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked: dict[str, set[str]] = {}
    for where, query in (
        *((rule.get("alert", rule.get("record")), rule["expr"]) for rule in rules()),
        *((file.name, query) for file in DASHBOARDS for query in queries(file)),
    ):
        for name in names_in(query) - recorded:
            asked.setdefault(name, set()).add(where)
    return asked


def series_of(families: "list[Metric]") -> set[str]:
    """What Prometheus keeps of these; a family without a series is told by its type alone."""
    return {f"{each.name}{suffix}" for each in families for suffix in SUFFIXES.get(each.type, ("",))}


def scraped(text: str) -> set[str]:
    return series_of(list(text_string_to_metric_families(text)))


def of_airflow() -> set[str]:
    """What the StatsD exporter makes of the names that the installed Airflow says it sends."""
    place = find_spec("airflow")
    assert place is not None
    assert place.submodule_search_locations
    folder = Path(next(iter(place.submodule_search_locations)))
    registry = folder / "_shared" / "observability" / "metrics" / "metrics_template.yaml"
    found: set[str] = set()
    for each in yaml.safe_load(registry.read_text(encoding="utf-8"))["metrics"]:
        name = "airflow_" + each["name"].replace(".", "_").replace("-", "_")
        is_time = each["type"] == "timer"
        found |= {f"{name}{suffix}" for suffix in SUFFIXES["histogram"]} if is_time else {name}
    return found


def of_models() -> set[str]:
    """What we tell of a model of which everything is known, by the exporter's rule for ours."""
    known = ModelFigures(
        model="m", at=NOW, model_version="1", serving_since=NOW, promoted_at=NOW, state="quiet",
        checked_at=NOW, labelled=1, accuracy=Estimate(value=1, low=1, high=1), latency_seconds=0.1,
        objectives=(objective(),),
    )  # fmt: skip
    mapping = yaml.safe_load((FOLDER / "statsd.yaml").read_text(encoding="utf-8"))["mappings"][0]
    assert (mapping["match"], mapping["name"]) == (f"airflow.{PREFIX}.*", f"{PREFIX}_$1")
    return {f"{PREFIX}_{name}" for name in (LOOKED, *(each.name for each in gauges_of(known)))}


def of_mlflow() -> set[str]:
    from tests.unit.containers.test_mlflow_counted import counted

    registry = CollectorRegistry()
    counted().Counted(None, registry)
    return series_of(list(registry.collect()))


def of_gateway(folder: Path) -> set[str]:
    """A real one, which was asked something."""
    with serving() as models:
        models.add("1", 1)
        with running(models, folder, f"sqlite:///{folder / 'gateway.db'}", workers=1) as gateway:
            gateway.put(route("1"))
            assert gateway.predict().ok
            told = scraped(requests.get(f"{gateway.url}/metrics", timeout=30).text)
    assert told >= series_of(list(REGISTRY.collect()))
    return told


def test_every_metric_that_is_asked_for_is_one_that_is_exposed(tmp_path: Path) -> None:
    recorded = {name for each in RECORDED.values() for name in each["names"]}
    exposed = of_gateway(tmp_path) | of_airflow() | of_models() | of_mlflow() | recorded
    assert {name: sorted(where) for name, where in wanted().items() if name not in exposed} == {}


def test_no_name_is_recorded_that_nobody_asks_for() -> None:
    recorded = {name for each in RECORDED.values() for name in each["names"]}
    assert recorded - set(wanted()) == set()
    assert [name for name, each in RECORDED.items() if not each["source"]] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('sum by (model) (rate(a_total{x="b_c"}[5m])) / c:d:e', {"a_total", "c:d:e"}),
        ("absent(up) or time() - max(x_seconds) > 900", {"up", "x_seconds"}),
        ('label_replace(a, "b", "$1", "c", "d") unless on (e) group_left () f offset 5m', {"a", "f"}),
    ],
)
def test_the_names_in_a_query_are_found(query: str, names: set[str]) -> None:
    assert names_in(query) == names


# --- what Debian packages, where it is installed ------------------------------------------------------------


@contextmanager
def exporter(program: str, *arguments: str, folder: Path, **environment: str) -> Iterator[str]:
    """The text that a real exporter gives."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed here (Debian's package of that name)")
    port = free_port()
    with (folder / "exporter.log").open("ab") as log:
        process = subprocess.Popen(
            [found, f"--web.listen-address=127.0.0.1:{port}", *arguments],
            env={"PATH": "/usr/bin:/bin", **environment}, stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/metrics"
        yield until(lambda: requests.get(url, timeout=10).text, f"{program} (see {folder}/exporter.log)")
    finally:
        process.terminate()
        process.wait(60)


def missing(service: str, text: str) -> set[str]:
    return set(RECORDED[service]["names"]) - scraped(text)


def test_node_exporter_exposes_what_is_recorded_of_it(tmp_path: Path) -> None:
    composed: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    arguments = [each.replace("$$", "$") for each in composed["services"]["node-exporter"]["command"]]
    with exporter("prometheus-node-exporter", *arguments, folder=tmp_path) as text:
        assert missing("node-exporter", text) == set()


def test_alertmanager_exposes_what_is_recorded_of_it(tmp_path: Path) -> None:
    (tmp_path / "alertmanager.yml").write_text("{route: {receiver: nobody}, receivers: [{name: nobody}]}")
    composed: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    command = [
        re.sub(r"\$\{\w+:-(\w+)\}", r"\1", each) for each in composed["services"]["alertmanager"]["command"]
    ]
    leads_to = "--web.external-url=https://localhost:8443/grafana/"
    assert leads_to in command, "what a message links to is an address that people reach"
    arguments = ("--config.file=alertmanager.yml", "--storage.path=data", *command[2:])
    with exporter("prometheus-alertmanager", *arguments, folder=tmp_path) as text:
        assert missing("alertmanager", text) == set()


def test_postgres_exporter_exposes_what_is_recorded_of_it(tmp_path: Path) -> None:
    with postgres_url() as url:
        source = f"user=test dbname=postgres host={url.partition('host=')[2]} sslmode=disable"
        with exporter("prometheus-postgres-exporter", folder=tmp_path, DATA_SOURCE_NAME=source) as text:
            assert missing("postgres-exporter", text) == set()
            assert "pg_up 1" in text
