"""The look of each fifth minute, on a real gateway and a real ledger, and what StatsD hears of it."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from airflow.sdk import configuration
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
from airflow.sdk.observability.stats import Stats

from plugins import objectives
from plugins.objectives import is_due, look_at_objectives, tell
from tasks.contracts import Action, ModelFigures
from tasks.errors import ServingError
from tasks.ledger import entries
from tasks.monitoring.slo import figures
from tasks.monitoring.slo.look import look
from tasks.settings import settings
from tests.conftest import PROJECT
from tests.unit.gateway.models import STEPS, route, serving
from tests.unit.gateway.processes import Gateway, running

MODEL = "review_sentiment"
SLO = {
    "availability": {"share": 0.9},
    "latency": {"seconds": 5, "quantile": 0.9},
    "freshness": {"days": 30},
    "accuracy": {"at_least": 0.5},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A real gateway; in the serving backend's place answers one that says what it is told to."""
    folder = tmp_path_factory.mktemp("gateway")
    with serving() as models:
        models.add("1", 1)
        with running(models, folder, f"sqlite:///{folder / 'gateway.db'}", workers=1) as started:
            started.internal("PUT", f"/routes/{MODEL}", json=route("1", model=MODEL))
            ids = [ask(started) for _ in range(20)]
            models.add("1", {"status": 500, "error": "The model failed on this instance: KeyError."})
            assert ask(started) is None
            labels = [
                {"prediction_id": prediction_id, "label": int(number > 0)}
                for number, prediction_id in enumerate(ids)
            ]
            answer = post(started, "feedback", {"feedback": labels})
            assert answer.ok, answer.text
            yield started


def post(gateway: Gateway, what: str, body: dict[str, Any]) -> requests.Response:
    return requests.post(f"{gateway.url}/v1/models/{MODEL}/{what}", json=body, timeout=30)


def ask(gateway: Gateway) -> str | None:
    answer = post(gateway, "predict", {"instances": [{"text": "a"}]})
    return answer.json()["predictions"][0]["prediction_id"] if answer.ok else None


@pytest.fixture
def platform(gateway: Gateway, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one model with objectives, of which version 1 serves by the ledger, and that gateway."""
    fields = yaml.safe_load((PROJECT / "models" / MODEL / "pipeline.yaml").read_text(encoding="utf-8"))
    fields["monitor"] = {**fields.get("monitor", {}), "slo": SLO}
    file = home / "models" / MODEL / "pipeline.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "models"))
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", gateway.url)
    monkeypatch.setenv("PERENNIAL_GATEWAY_TOKEN", STEPS["Authorization"].removeprefix("Bearer "))
    settings.cache_clear()
    note(Action.GATE, "promote", decision={"run_id": "run-1"})
    note(Action.DEPLOY, "1", route={"run_id": "run-1"})
    note(Action.DRIFT, "quiet", decision={"state": "quiet"})
    return home


def note(action: Action, after: str, **evidence: Any) -> None:
    entries.record(
        model=MODEL, actor="tests", action=action, before=None, after=after, why="A test.", evidence=evidence
    )


def test_each_model_is_looked_at_and_kept(platform: Path) -> None:
    look_at_objectives()

    found = figures.figures_of(MODEL)
    assert found is not None
    assert (found.model_version, found.state, found.labelled) == ("1", "quiet", 20)
    assert found.promoted_at is not None
    assert found.serving_since is not None
    assert found.promoted_at < found.serving_since <= found.at
    assert found.accuracy is not None
    assert found.accuracy.low < found.accuracy.value == 0.95 < found.accuracy.high
    stands = {each.name: each for each in found.objectives}
    assert {name: each.kept for name, each in stands.items()} == dict.fromkeys(SLO, "kept")
    assert (stands["availability"].total, stands["availability"].good) == (21, 20)
    assert stands["availability"].budget_left == pytest.approx(1 - (1 / 21) / 0.1)
    assert stands["latency"].budget_left == 1
    assert stands["freshness"].budget_left == 1
    assert (stands["accuracy"].total, stands["accuracy"].good) == (20, 19)


def test_an_older_look_that_comes_late_changes_nothing_and_a_model_that_is_gone_is_forgotten(
    platform: Path,
) -> None:
    look_at_objectives()
    found = figures.figures_of(MODEL)
    assert found is not None
    figures.keep(found.model_copy(update={"at": found.at - timedelta(minutes=5), "labelled": 7}))
    assert figures.figures_of(MODEL) == found
    figures.keep(found.model_copy(update={"model": "gone"}))
    look_at_objectives()
    assert [each.model for each in figures.newest()] == [MODEL]


def test_figures_of_another_version_of_perennial_are_looked_at_anew(platform: Path) -> None:
    from tasks.stores.database import engine, model_figures

    look_at_objectives()
    with engine().begin() as connection:
        connection.execute(model_figures.update().values(figures='{"of": "another"}'))
    assert figures.newest() == []
    look_at_objectives()
    assert [each.model for each in figures.newest()] == [MODEL]


def test_a_gateway_that_is_away_is_told(platform: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    with pytest.raises(ServingError, match="The gateway does not answer"):
        look_at_objectives()


def test_a_model_of_which_nothing_can_be_told_hides_no_other(
    platform: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = platform / "models"
    other = yaml.safe_load((models / MODEL / "pipeline.yaml").read_text(encoding="utf-8")) | {
        "name": "another"
    }
    (models / "another").mkdir()
    (models / "another" / "pipeline.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")

    def look_or_fail(spec: Any, *rest: Any) -> ModelFigures:
        if spec.name == "another":
            raise ServingError("The gateway cannot count this one.")
        return look(spec, *rest)

    monkeypatch.setattr(objectives, "look", look_or_fail)
    with pytest.raises(ServingError, match="cannot count this one"):
        look_at_objectives()
    assert [each.model for each in figures.newest()] == [MODEL]


@pytest.mark.parametrize(
    ("run_type", "minute", "due"), [("scheduled", 5, True), ("scheduled", 6, False), ("manual", 5, False)]
)
def test_it_is_looked_each_fifth_minute_by_the_clock(run_type: str, minute: int, *, due: bool) -> None:
    assert is_due(run_type, datetime(2026, 11, 20, 3, minute, tzinfo=UTC)) == due


def test_statsd_hears_every_number_with_its_tags(platform: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look_at_objectives()
    found = figures.figures_of(MODEL)
    assert found is not None
    lines = heard(found, monkeypatch)
    of = f"airflow.perennial.objective_budget_spent,model={MODEL},objective=availability"
    assert [line for line in lines if line.startswith(f"{of}:0.476")]
    assert f"airflow.perennial.objective_latency_bound,model={MODEL},le=5.0:1|g" in lines
    assert f"airflow.perennial.model_state,model={MODEL},state=quiet:1.0|g" in lines
    of = f"airflow.perennial.model_served_at_seconds,model={MODEL},model_version=1"
    assert f"{of}:{found.at.timestamp()}|g" in lines
    assert not [line for line in lines if ":-" in line], "StatsD takes a sign for a change of what was before"


def heard(found: ModelFigures, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a StatsD server gets of Airflow's own client, as the profile `monitoring` sets it up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        composed = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
        options = composed["x-airflow-environment"]
        for name in ("STATSD_INFLUXDB_ENABLED", "LEGACY_NAMES_ON", "STATSD_CUSTOM_CLIENT_PATH"):
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", options[f"AIRFLOW__METRICS__{name}"])
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(server.getsockname()[1]))
        legacy = configuration.conf.getboolean("metrics", "legacy_names_on")
        Stats.initialize(factory=get_stats_factory(), export_legacy_names=legacy)
        try:
            tell(found)
            Stats.gauge("perennial.end", 1)
            return list(iter(lambda: server.recv(65536).decode(), "airflow.perennial.end:1|g"))
        finally:
            monkeypatch.undo()
            Stats.initialize(factory=get_stats_factory(), export_legacy_names=legacy)


def test_an_entry_of_another_shape_costs_no_other_model_its_look(platform: Path) -> None:
    other = platform / "models" / "a_model_before"
    other.mkdir()
    fields = yaml.safe_load((platform / "models" / MODEL / "pipeline.yaml").read_text(encoding="utf-8"))
    (other / "pipeline.yaml").write_text(yaml.safe_dump({**fields, "name": other.name}), encoding="utf-8")
    for after, evidence in (("promote", {"decision": None}), ("hold", {"decision": "none"})):
        entries.record(
            model=other.name, actor="tests", action=Action.GATE, before=None, after=after, why="A test.",
            evidence=evidence,
        )  # fmt: skip

    with pytest.raises(AttributeError):
        look_at_objectives()

    assert figures.figures_of(MODEL) is not None
    assert figures.figures_of(other.name) is None
