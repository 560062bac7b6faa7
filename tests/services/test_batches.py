"""Instances that go to a version together: how many, in which order, and whose fault is whose."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.services.conftest import Model, Platform, new_model


@pytest.fixture(scope="module")
def small(services: Platform, settled: Path) -> Iterator[Model]:
    """A model that takes at most eight instances together."""
    model = new_model(settled, timeout_seconds=3, batch_size=8)
    model.deploy("one")
    yield model
    model.remove()


@pytest.fixture(scope="module")
def earlier(services: Platform, settled: Path) -> Iterator[Model]:
    """A model whose archive was made before handlers took lists."""
    model = new_model(settled, timeout_seconds=3)
    model.deploy("one", batches=False)
    yield model
    model.remove()


def together(answer: requests.Response) -> list[int]:
    """How many instances were asked together with each of an answer's."""
    return [int(each["score"]) for each in answer.json()["predictions"]]


def test_a_request_of_many_instances_is_cut_into_batches_and_answered_in_order(
    platform: Platform, small: Model
) -> None:
    texts = ["together" if number % 2 else f"{'a' * (number + 1)}" for number in range(20)]

    answers = platform.predict(small.name, *texts).json()["predictions"]

    assert [answer["score"] for answer in answers[::2]] == [(number + 1) / 1000 for number in range(0, 20, 2)]
    assert [int(answer["score"]) for answer in answers[1::2]] == [8] * 8 + [4] * 2


def test_one_request_alone_waits_for_no_others(platform: Platform, small: Model) -> None:
    assert together(platform.predict(small.name, "together")) == [1]
    took = []
    for _ in range(30):
        started = time.perf_counter()
        assert platform.predict(small.name, "hello").ok
        took.append(time.perf_counter() - started)
    assert min(took) < 0.1


def test_requests_that_come_while_the_workers_are_busy_go_together(platform: Platform, small: Model) -> None:
    with ThreadPoolExecutor(16) as pool:
        slow = [pool.submit(platform.predict, small.name, "sleep 0.7") for _ in range(2)]
        time.sleep(0.3)
        waiting = [pool.submit(platform.predict, small.name, "together", "together") for _ in range(6)]
        assert all(each.result().ok for each in slow)
        found = [together(each.result()) for each in waiting]

    assert max(size for sizes in found for size in sizes) == 8
    assert sum(1 / size for sizes in found for size in sizes) <= 3


def test_an_instance_that_kills_its_worker_takes_none_of_its_neighbours_with_it(
    platform: Platform, small: Model
) -> None:
    with ThreadPoolExecutor(16) as pool:
        slow = [pool.submit(platform.predict, small.name, "sleep 0.5") for _ in range(2)]
        time.sleep(0.2)
        deadly = pool.submit(platform.predict, small.name, "die")
        neighbours = [pool.submit(platform.predict, small.name, "hello") for _ in range(5)]
        assert deadly.result().status_code in {503, 504}
        statuses = [each.result().status_code for each in [*slow, *neighbours]]

    # A worker that is being started again may take longer than these three seconds on a busy machine.
    assert set(statuses) <= {200, 503, 504}
    deadline = time.monotonic() + 30
    while not platform.predict(small.name, "hello").ok:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_what_is_refused_in_a_batch_is_told_by_its_number_and_its_neighbours_are_answered(
    platform: Platform, small: Model
) -> None:
    with ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(platform.predict, small.name, "sleep 0.5") for _ in range(2)]
        time.sleep(0.2)
        refused = pool.submit(platform.predict, small.name, "a", "refuse")
        failed = pool.submit(platform.predict, small.name, "fail")
        good = pool.submit(platform.predict, small.name, "a", "b")

    assert all(each.result().ok for each in slow)
    assert (refused.result().status_code, refused.result().json()["instance"]) == (422, 1)
    assert (failed.result().status_code, failed.result().json()["instance"]) == (500, 0)
    assert len(good.result().json()["predictions"]) == 2


def test_an_archive_of_an_earlier_version_is_asked_one_by_one(platform: Platform, earlier: Model) -> None:
    assert together(platform.predict(earlier.name, *["together"] * 5)) == [1] * 5
    refused = platform.predict(earlier.name, "a", "refuse")
    assert (refused.status_code, refused.json()["instance"]) == (422, 1)


def test_more_than_the_gateway_holds_is_refused_at_once_and_the_rest_is_answered(
    platform: Platform, small: Model
) -> None:
    body = json.dumps({"instances": [{"text": "sleep 0.02"}] * 64})
    url = f"{platform.gateway_url}/v1/models/{small.name}/predict"

    def ask(_: int) -> int:
        answer = requests.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=30)
        return answer.status_code

    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(ask, range(40)))

    assert set(statuses) <= {200, 503, 504}
    assert 200 in statuses
    assert platform.predict(small.name, "hello").ok
