"""A run that asks for what there is not is told so in a sentence."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from plugins.causes import asked_of_training
from plugins.forms import OPENLINEAGE, faults

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TRAINING = {"as_of", "reason"}
DRIFT = {"window_start", "window_end"}


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-30T10:00:00Z",
        "2026-06-31T10:00Z",
        "2026-01-01T10:00:00+99:99",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00Z",
    ],
)
def test_a_time_that_is_none_is_named_with_its_parameter(value: str) -> None:
    said = f"({value}). Correct its day, year or zone."
    assert faults(TRAINING, {}, {"as_of": value}, NOW) == [f"There is no such time as as_of {said}"]
    for name in DRIFT:
        params = {"window_start": None, "window_end": None, name: value}
        assert faults(DRIFT, {}, params, NOW) == [f"There is no such time as {name} {said}"]


@pytest.mark.parametrize(
    ("known", "params", "said"),
    [
        (TRAINING, {"as_of": "2026-01-01T10:00:00+0100"}, None),
        (TRAINING, {"as_of": None}, None),
        (TRAINING, {"as_of": "2026-03-01T00:00:01Z"}, "lies in the future"),
        (TRAINING | {"window_end"}, {"as_of": None, "window_end": "3 days"}, None),
        (DRIFT, {"window_start": None, "window_end": None}, None),
        (DRIFT, {"window_start": "2026-03-02T00:00Z", "window_end": None}, "not after its start"),
        (set(), {}, None),
    ],
)
def test_other_values_are_told_as_they_are(known: set[str], params: dict[str, Any], said: str | None) -> None:
    told = faults(known, {}, params, NOW)
    assert told == [] if said is None else said in told[0]


def test_what_openlineage_adds_to_a_run_is_neither_a_fault_nor_a_parameter() -> None:
    added = {OPENLINEAGE: {"parentRunId": "01a222a0-0d75-728b-93d9-70c3c820962d"}}
    assert faults(TRAINING, added, {"as_of": None}, NOW) == []

    params = {"as_of": None, "reason": "drift", "epochs": 3, **added}
    run: Any = {"params": params, "dag_run": SimpleNamespace(run_type="manual")}
    assert asked_of_training(run) == {"parameters": {"epochs": 3}, "reason": "drift"}
