"""The dashboards are whole: Prometheus reads each query, links lead somewhere, no panel hides another."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT
from tests.unit.compose.observability import DASHBOARDS, FOLDER, dashboard, promtool, queries

GRAFANA = FOLDER / "grafana"


def test_there_is_a_dashboard_for_each_role() -> None:
    uids = {file.stem: dashboard(file)["uid"] for file in DASHBOARDS}
    assert uids == {name: f"perennial-{name}" for name in ("platform", "model", "business")}


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_prometheus_reads_every_query(file: Path, tmp_path: Path) -> None:
    found = queries(file)
    assert len(found) >= 8
    named = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(found)]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "queries", "rules": named}]}))
    done = promtool("check", "rules", tmp_path / "rules.json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_query_that_is_none_is_told(tmp_path: Path) -> None:
    broken = {"groups": [{"name": "queries", "rules": [{"record": "query:0", "expr": "sum(rate(up[5m]"}]}]}
    (tmp_path / "rules.json").write_text(json.dumps(broken))
    assert promtool("check", "rules", tmp_path / "rules.json").returncode != 0


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_each_panel_has_a_place_of_its_own_and_asks_the_source_that_is_provided(file: Path) -> None:
    provided = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    uid = provided["datasources"][0]["uid"]
    panels = dashboard(file)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["datasource"]["uid"] == uid
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {uid}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    hidden = [
        (one["title"], other["title"])
        for one, other in combinations(panels, 2)
        if overlap(one["gridPos"], other["gridPos"])
    ]
    assert hidden == []


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_each_dashboard_leads_to_the_others_and_to_the_models(file: Path) -> None:
    board = dashboard(file)
    others = {f"/grafana/d/{dashboard(other)['uid']}" for other in DASHBOARDS if other != file}
    assert {link["url"] for link in board["links"]} == {*others, "/perennial/models/"}


def test_grafana_is_given_what_is_in_the_folder() -> None:
    composed: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    grafana = composed["services"]["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "perennial.yaml").read_text())
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    path = provider["providers"][0]["options"]["path"]
    at = {target: PROJECT / folder for folder, target in mounted.items()}
    assert sorted(at[path].glob("*.json")) == DASHBOARDS
    assert at["/etc/grafana/provisioning"] == GRAFANA / "provisioning"
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{path}/platform.json"
