"""No number of pipeline.yaml is beyond what the clock, the store or the service takes that it is given to."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from perennial_gateway.routes import Route

from tasks.errors import InvalidProject
from tasks.monitoring import closing
from tasks.spec import PipelineSpec
from tasks.spec.monitor import MonitorSpec
from tasks.spec.serving import LONGEST_SECONDS
from tasks.spec.training import TrainingSpec
from tests.conftest import PROJECT

SHIPPED = PROJECT / "models" / "review_sentiment" / "pipeline.yaml"
COMPARED_ONLY = {
    "margin",
    "slice_margin",
    "minimum_gain_over_baseline",
    "latency_p95_seconds",
    "by",
}
"""In units of the label, or only compared with what was measured: any finite number has a meaning."""


def unbounded() -> Iterator[str]:
    for part, schema in PipelineSpec.model_json_schema()["$defs"].items():
        for name, field in schema["properties"].items():
            is_number = field.get("type") in {"number", "integer"}
            if is_number and not {"maximum", "exclusiveMaximum"} & set(field) and name not in COMPARED_ONLY:
                yield f"{part}.{name}"


def test_every_number_has_an_upper_bound() -> None:
    assert list(unbounded()) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("monitor.maximum_rows", 0),
        ("monitor.maximum_rows", 1),
        ("monitor.maximum_rows", 29),
        ("monitor.minimum_window_rows", 0),
        ("monitor.false_alarm_share", 1e-17),
        ("monitor.cooldown_seconds", float("inf")),
        ("monitor.cooldown_seconds", 1e20),
        ("monitor.retrain_budget", {"runs": -1}),
        ("monitor.retrain_budget", {"seconds": 0}),
        ("monitor.retrain_budget", {"seconds": float("nan")}),
        ("monitor.breaker_after", 0),
        ("monitor.rebuild_after", 10**9),
        ("monitor.tolerance", float("inf")),
        ("monitor.tolerance", 1e300),
        ("monitor.tolerance", 0.6),
        ("monitor.false_alarms_per_year", 1e-300),
        ("monitor.false_alarms_per_year", 0),
        ("monitor.false_alarms_per_year", float("nan")),
        ("training.timeout_seconds", float("inf")),
        ("training.timeout_seconds", 1e300),
        ("training.retries", 10**9),
        ("resources.cpus", float("inf")),
        ("resources.memory_mib", 10**15),
        ("serving.timeout_seconds", 900),
        ("serving.backend", "triton"),
        ("serving.replicas", 0),
        ("serving.replicas", 10**6),
        ("serving.idle_seconds", 0),
        ("serving.idle_seconds", 1e20),
        ("serving.timeout_seconds", float("inf")),
        ("serving.workers", 2**31),
        ("serving.batch_size", 2**31),
        ("serving.max_batch_delay_ms", 2**31),
        ("gate.margin", float("inf")),
        ("gate.latency_p95_seconds", float("inf")),
    ],
)
def test_a_number_that_is_refused_later_is_refused_in_the_file(
    tmp_path: Path, field: str, value: Any
) -> None:
    document: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    part, name = field.split(".")
    document.setdefault(part, {})[name] = value
    path = tmp_path / "review_sentiment" / "pipeline.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(document))

    with pytest.raises(InvalidProject, match=rf"{field}[.a-z]*: .*\. Correct these fields"):
        PipelineSpec.load(path)


def test_the_longest_request_is_the_one_that_the_gateway_takes() -> None:
    [most] = [rule.le for rule in Route.model_fields["timeout_seconds"].metadata if hasattr(rule, "le")]
    assert most == LONGEST_SECONDS


def test_the_largest_times_are_times_that_a_clock_can_tell() -> None:
    longest = {
        name: next(rule.le for rule in spec.model_fields[name].metadata if hasattr(rule, "le"))
        for spec, names in (
            (TrainingSpec, ("timeout_seconds", "retries")),
            (MonitorSpec, ("cooldown_seconds",)),
        )
        for name in names
    }
    spec = PipelineSpec.load(SHIPPED)
    training = spec.training.model_copy(
        update={name: longest[name] for name in ("timeout_seconds", "retries")}
    )
    seconds = closing.longest_seconds(spec.model_copy(update={"training": training}))

    assert datetime.now(UTC) + timedelta(seconds=seconds + longest["cooldown_seconds"])


def test_only_a_backend_that_can_wake_a_version_may_let_it_sleep() -> None:
    document = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    document["serving"]["idle_seconds"] = 600
    with pytest.raises(ValueError, match="idle_seconds is 600, but the backend is torchserve"):
        PipelineSpec.model_validate(document)

    document["serving"]["backend"] = "oip"
    assert PipelineSpec.model_validate(document).serving.idle_seconds == 600
