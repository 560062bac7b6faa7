"""What a caller may say beside its instances: how long it waits, and which trace it is of."""

import time

import pytest
import requests

from tests.services.conftest import Model, Platform, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def test_a_trace_context_comes_back_and_is_in_the_log(platform: Platform, steady: Model) -> None:
    answer = platform.predict(steady.name, "a", headers={"traceparent": SENT})
    without = platform.predict(steady.name, "a")
    wrong = platform.predict(steady.name, "a", headers={"traceparent": "00-1-2-3"})

    assert answer.headers["traceparent"] == SENT
    assert [each.status_code for each in (answer, without, wrong)] == [200, 200, 200]
    assert "traceparent" not in {*without.headers, *wrong.headers}
    logged = [row["trace_id"] for row in platform.logged("predictions", steady.name)[-3:]]
    assert logged == [TRACE, None, None]


def test_a_caller_that_waits_for_less_long_than_the_model_may_take_is_told_so(
    platform: Platform, steady: Model
) -> None:
    began = time.monotonic()
    late = platform.predict(steady.name, "sleep 2", headers={"X-Request-Timeout": "0.3"})
    took = time.monotonic() - began
    in_time = platform.predict(steady.name, "sleep 0.2", headers={"X-Request-Timeout": "60"})

    assert (late.status_code, "within 0.3 seconds" in late.json()["error"]) == (504, True)
    assert "Retry-After" in late.headers
    assert took < 1
    assert in_time.status_code == 200


def test_a_caller_in_a_hurry_that_no_version_could_please_is_no_versions_failure(
    platform: Platform, steady: Model
) -> None:
    def failed() -> int:
        path = f"{platform.gateway_url}/v1/models/{steady.name}/statistics"
        [version] = requests.get(path, timeout=30).json()["versions"]
        count: int = version["failed_requests"]
        return count

    before = failed()
    assert (
        platform.predict(steady.name, "sleep 1", headers={"X-Request-Timeout": "0.0001"}).status_code == 504
    )
    time.sleep(1.5)
    assert failed() == before
    assert platform.predict(steady.name, "sleep 2", headers={"X-Request-Timeout": "1"}).status_code == 504
    until(lambda: failed() == before + 1)


@pytest.mark.parametrize("sent", ["soon", "-1", "nan"])
def test_a_deadline_that_is_none_is_refused(platform: Platform, steady: Model, sent: str) -> None:
    answer = platform.predict(steady.name, "a", headers={"X-Request-Timeout": sent})
    assert (answer.status_code, "X-Request-Timeout" in answer.json()["error"]) == (422, True)
