"""A request that cannot be meant is refused before its step starts, in a sentence."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.contracts import StepContext
from tasks.errors import InvalidRequest
from tasks.step import read_request
from tests.unit.reviews import SPEC

CONTEXT = StepContext(actor="a", step_key="dag/run/task", work_url="unused").model_dump()
START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("hours", [0, -1])
def test_a_window_that_does_not_end_after_its_start(hours: int) -> None:
    end = START + timedelta(hours=hours)
    times = {"window_start": START.isoformat(), "window_end": end.isoformat()}
    request = json.dumps({"context": CONTEXT, "spec": SPEC.model_dump(mode="json"), **times})
    with pytest.raises(InvalidRequest, match=r"the window ends at 2026-.*, not after its start at 2026-"):
        read_request("drift", request)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "", "reason": "It is old."}, "model: '' cannot be a name"),
        ({"model": "../etc", "reason": "It is old."}, r"model: '../etc' cannot be a name"),
        ({"model": "tiny", "reason": ""}, "reason: is blank; the ledger keeps why"),
        ({"model": "tiny", "reason": " \n\t"}, "reason: is blank; the ledger keeps why"),
    ],
)
def test_a_withdrawal_of_no_model_or_for_no_reason(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        read_request("withdraw", json.dumps({"context": CONTEXT, **fields}))
