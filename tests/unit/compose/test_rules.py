"""Each alert rule fires on its planted fault and is silent otherwise, also in a quiet week."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT
from tests.unit.compose.observability import CASES, FOLDER, RULES, alerts, cases, names_in, promtool, rules

MINUTES = 7 * 24 * 60
STEP = 5


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_alerts_fire_on_their_faults_and_are_silent_otherwise(file: Path) -> None:
    done = promtool("test", "rules", file.name, cwd=file.parent)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", alerts())
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(alert: str) -> None:
    expected = [
        (test["exp_samples"][0]["value"], case["name"].split(":")[0])
        for case in cases()
        for test in case["promql_expr_test"]
        if f'alertname="{alert}",alertstate="firing"' in test["expr"]
    ]
    assert {value for value, _ in expected} == {0, 1}
    says = {1: f"{alert} fires", 0: f"{alert} stays silent"}
    assert [name for value, name in expected if name != says[value]] == []


def test_the_cases_tell_a_rule_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "tests").mkdir()
    text = (FOLDER / "rules" / "models.yaml").read_text(encoding="utf-8")
    (tmp_path / "rules" / "models.yaml").write_text(text.replace("> 0.5", "> 5"), encoding="utf-8")
    case = (FOLDER / "tests" / "models.yaml").read_text(encoding="utf-8")
    (tmp_path / "tests" / "models.yaml").write_text(case, encoding="utf-8")
    done = promtool("test", "rules", "models.yaml", cwd=tmp_path / "tests")
    assert done.returncode != 0
    assert "ModelFails" in done.stdout + done.stderr


def test_each_alert_says_what_is_wrong_and_how_urgent_it_is_and_the_document_what_to_do() -> None:
    page = (PROJECT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
            assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
            assert f"\n| `{rule['alert']}` | {rule['labels']['severity']} | " in page, rule["alert"]
    assert len(alerts()) == len(set(alerts()))


# --- a quiet week -------------------------------------------------------------------------------------------


def quiet_week(seed: int) -> Iterator[tuple[str, list[float]]]:
    """Every metric that a rule names, as on a platform where nothing is wrong, each `STEP` minutes: days and
    nights, a request in a thousand that fails, a slow one in five hundred, two restarts, a training that
    fills a part of the disk and heats the GPU, a task that fails twice, a file that cannot be read for a
    minute.
    """
    dice = random.Random(seed)
    ticks = range(MINUTES // STEP)
    day = [0.2 + 0.8 * abs((tick * STEP % 1440) - 720) / 720 for tick in ticks]
    asked = [round(500 * share * dice.uniform(0.9, 1.1)) for share in day]
    failed = [sum(dice.random() < 0.001 for _ in range(count)) for count in asked]
    slow = [sum(dice.random() < 0.002 for _ in range(count)) for count in asked]
    fast = [a - b for a, b in zip(asked, slow, strict=True)]
    of = 'model="m",model_version="1"'
    for name, what in (("answered", asked), ("failed", failed)):
        yield f'perennial_gateway_answers_total{{{of},role="stable",outcome="{name}"}}', restarted(what)
    yield f'perennial_gateway_predict_seconds_bucket{{{of},le="0.1"}}', restarted(fast)
    yield f'perennial_gateway_predict_seconds_bucket{{{of},le="+Inf"}}', restarted(asked)
    yield f"perennial_gateway_predict_seconds_count{{{of}}}", restarted(asked)
    for objective, target in (("availability", 0.995), ("latency", 0.99)):
        label = f'{{model="m",objective="{objective}"}}'
        yield f"perennial_objective_target{label}", [target for _ in ticks]
        yield f"perennial_objective_window_days{label}", [30 for _ in ticks]
        yield f"perennial_objective_missed{label}", [0 for _ in ticks]
    yield 'perennial_objective_latency_bound{model="m",le="0.1"}', [1 for _ in ticks]
    yield 'perennial_model_state{model="m",state="alarm"}', [float(300 < tick < 500) for tick in ticks]
    yield "perennial_looked_at_seconds", [tick * STEP * 60 for tick in ticks]
    jobs = (
        "gateway",
        "torchserve",
        "mlflow",
        "airflow",
        "postgres",
        "host",
        "gpu",
        "prometheus",
        "alertmanager",
    )
    for job in jobs:
        yield f'up{{job="{job}"}}', [1 for _ in ticks]
    heartbeats = (
        "airflow_scheduler_heartbeat",
        "airflow_dag_processor_heartbeat",
        "airflow_triggerer_heartbeat",
    )
    for name in heartbeats:
        yield name, restarted([60 for _ in ticks])
    yield 'airflow_ti_failures{dag_id="train_m",task_id="train"}', [float(2 * (tick > 700)) for tick in ticks]
    yield "airflow_dag_processing_import_errors", [float(tick == 900) for tick in ticks]
    yield "airflow_executor_queued_tasks", [dice.choice((0, 0, 1)) for _ in ticks]
    yield "airflow_executor_running_tasks", [dice.choice((1, 2, 3)) for _ in ticks]
    yield "perennial_gateway_spooled_bytes", [dice.choice((0, 0, 4096)) for _ in ticks]
    yield "perennial_gateway_refused_rows_total", [0 for _ in ticks]
    yield f"perennial_gateway_backend_retries_withheld_total{{{of}}}", [float(tick > 400) for tick in ticks]
    yield 'mlflow_request_seconds_count{method="GET",status="200"}', restarted([40 for _ in ticks])
    yield 'mlflow_request_seconds_count{method="GET",status="500"}', [float(tick > 600) for tick in ticks]
    yield "Requests5XX", [float(sum(failed[: tick + 1])) for tick in ticks]
    yield 'alertmanager_notifications_failed_total{integration="webhook"}', [0 for _ in ticks]
    yield "pg_up", [1 for _ in ticks]
    yield 'pg_stat_activity_count{datname="airflow"}', [dice.randint(10, 40) for _ in ticks]
    yield "pg_settings_max_connections", [100 for _ in ticks]
    disk = '{instance="h",mountpoint="/disk"}'
    written = [700 - 0.05 * tick - 60 * (1000 < tick < 1100) for tick in ticks]
    yield f"node_filesystem_avail_bytes{disk}", written
    yield f"node_filesystem_size_bytes{disk}", [1000 for _ in ticks]
    yield 'node_memory_MemAvailable_bytes{instance="h"}', [dice.randint(200, 600) for _ in ticks]
    yield 'node_memory_MemTotal_bytes{instance="h"}', [1000 for _ in ticks]
    yield 'DCGM_FI_DEV_XID_ERRORS{gpu="0"}', [0 for _ in ticks]
    yield 'DCGM_FI_DEV_GPU_TEMP{gpu="0"}', [84 if 1000 < tick < 1100 else 45 for tick in ticks]


def restarted(counts: list[int]) -> list[float]:
    """A counter of these, of a process that was started again twice."""
    total, told = 0, []
    for tick, count in enumerate(counts):
        total = count if tick in {600, 1500} else total + count
        told.append(float(total))
    return told


def test_nothing_fires_in_a_quiet_week(tmp_path: Path) -> None:
    series = dict(quiet_week(1))
    test: dict[str, Any] = {
        "interval": f"{STEP}m",
        "input_series": [
            {"series": name, "values": " ".join(f"{value:g}" for value in values)}
            for name, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f'count_over_time(ALERTS{{alertstate="firing"}}[{MINUTES - 30}m])',
                "eval_time": f"{MINUTES - STEP}m",
                "exp_samples": [],
            },
            {
                "expr": "count(count_over_time(model:failed:share3d[1h]))",
                "eval_time": f"{MINUTES - STEP}m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            },
        ],
    }
    document = {
        "rule_files": [str(file) for file in RULES],
        "evaluation_interval": "5m",
        "group_eval_order": ["objectives", "objectives.alerts"],
        "tests": [test],
    }
    (tmp_path / "week.yaml").write_text(yaml.safe_dump(document, width=10**6), encoding="utf-8")
    done = promtool("test", "rules", "week.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_quiet_week_has_every_metric_that_a_rule_asks_for() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    wanted = set().union(*(names_in(rule["expr"]) for rule in rules())) - recorded
    assert wanted == {name.partition("{")[0] for name, _ in quiet_week(1)}
