"""Two versions of a model at once, on the real TorchServe and gateway: who answers, who sees copies."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.contracts import Outcomes, Route, TrafficSplit
from tasks.errors import ServingError
from tasks.release.switch import route_of
from tasks.serving.gateway import Gateway
from tasks.serving.torchserve import torchserve
from tests.services.conftest import Model, Platform, load_on


def load(model: Model, mark: str, **how: Any) -> Route:
    """Load a version beside the one that serves; nobody is sent to it yet."""
    version = model.promoted(mark, **how)
    torchserve().register(version.archive, model.spec.serving)
    return route_of(model.spec, version)


def split(candidate: Route, **changes: Any) -> TrafficSplit:
    return TrafficSplit(release_id="r1", kind="canary", candidate=candidate, **changes)


@pytest.fixture
def gateway(platform: Platform) -> Gateway:
    return Gateway()


@pytest.fixture
def candidate(served: Model) -> Route:
    return load(served, "two")


@pytest.fixture
def start(candidate: Route) -> datetime:
    return datetime.now(UTC)


def outcomes(gateway: Gateway, model: str, since: datetime, answered: int) -> Outcomes:
    """What is told once so many requests were answered or seen as copies."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        told = gateway.outcomes(model, since)
        copies = sum(one.compared + one.failed + one.dropped for one in told.shadows)
        if sum(one.answered for one in told.versions) + copies >= answered:
            return told
        time.sleep(0.1)
    pytest.fail("the outcomes did not come")


def test_a_canary_answers_its_share_and_a_promotion_fails_nobody(
    platform: Platform, served: Model, gateway: Gateway, candidate: Route, start: datetime
) -> None:
    with load_on(platform, served.name, per_second=100) as load:
        time.sleep(0.5)
        gateway.open_split(split(candidate, share=0.25))
        opened = datetime.now(UTC)
        time.sleep(3)
        told = gateway.outcomes(served.name, opened)
        gateway.put(candidate, "deploy")
        time.sleep(0.5)

    assert (load.refusals, load.faults) == ([], [])
    roles = {one.role: one for one in told.versions}
    share = roles["candidate"].answered / sum(one.answered for one in told.versions)
    assert 0.12 < share < 0.4
    assert (roles["candidate"].run_id, roles["candidate"].failed) == (candidate.run_id, 0)
    assert roles["candidate"].predictions == {'"two"': roles["candidate"].answered}
    assert gateway.split(served.name) is None
    assert {platform.predict(served.name, "a").json()["run_id"] for _ in range(10)} == {candidate.run_id}


def test_a_tester_and_the_probe_reach_a_candidate_that_nobody_is_sent_to(
    platform: Platform, served: Model, gateway: Gateway, candidate: Route
) -> None:
    opened = split(candidate)
    gateway.open_split(opened)

    headers = {"X-Perennial-Version": candidate.model_version}
    answer = platform.predict(served.name, "a", headers=headers).json()

    assert gateway.split(served.name) == opened
    assert answer["predictions"][0]["prediction"] == "two"
    assert platform.predict(served.name, "a").json()["predictions"][0]["prediction"] == "one"
    run_id, probed = gateway.probe(served.name, {"text": "a"}, candidate.model_version)
    assert (run_id, probed["prediction"]) == (candidate.run_id, "two")
    gateway.close_split(served.name)
    gateway.close_split(served.name)
    assert platform.predict(served.name, "a", headers=headers).status_code == 404
    with pytest.raises(ServingError, match="answers nobody here"):
        gateway.probe(served.name, {"text": "a"}, candidate.model_version)


def test_copies_show_where_the_candidate_differs_and_what_kills_it(
    platform: Platform, served: Model, gateway: Gateway, start: datetime, candidate: Route
) -> None:
    gateway.open_split(split(candidate, shadow_share=1.0))
    for number in range(20):
        assert platform.predict(served.name, f"text {number}").status_code == 200
    told = outcomes(gateway, served.name, start, 40)

    [shadow] = told.shadows
    assert (shadow.run_id, shadow.compared, shadow.agreed, shadow.failed) == (candidate.run_id, 20, 0, 0)
    same = load(served, "one")
    gateway.open_split(split(same, shadow_share=1.0))
    platform.predict(served.name, "a", "b")
    told = outcomes(gateway, served.name, start, 42)
    assert [one.agreed for one in told.shadows if one.run_id == same.run_id] == [1], "one request of two"


def test_a_candidate_that_crashes_fails_in_the_outcomes_and_the_way_back_is_at_once(
    platform: Platform, served: Model, gateway: Gateway, start: datetime, candidate: Route
) -> None:
    gateway.open_split(split(candidate, share=1.0))
    assert platform.predict(served.name, "fail").status_code == 500
    assert platform.predict(served.name, "refuse").status_code == 422
    started = time.monotonic()
    gateway.close_split(served.name)
    seconds = time.monotonic() - started

    assert platform.predict(served.name, "a").json()["predictions"][0]["prediction"] == "one"
    told = {one.role: one for one in gateway.outcomes(served.name, start).versions}
    assert (told["candidate"].failed, told["candidate"].answered, told["stable"].failed) == (1, 0, 0)
    assert seconds < 0.5, "0.1 s is the goal on a quiet machine"


def test_labels_come_with_the_version_that_was_right(
    platform: Platform, served: Model, gateway: Gateway, start: datetime, candidate: Route
) -> None:
    gateway.open_split(split(candidate, share=1.0))
    told = platform.predict(served.name, "a", "b").json()["predictions"]
    labels = [{"prediction_id": each["prediction_id"], "label": 1} for each in told]
    assert platform.post(f"/v1/models/{served.name}/feedback", {"feedback": labels}).status_code == 202

    found = gateway.outcomes(served.name, start).labelled

    assert [(one.prediction_id, one.role, one.label) for one in found] == [
        (each["prediction_id"], "candidate", 1) for each in told
    ]
    assert [one.prediction for one in found] == ["two", "two"]
    assert gateway.outcomes(served.name, start, labelled=1).labelled == found[:1]


def test_a_split_of_what_is_not_there_is_refused(gateway: Gateway, served: Model, candidate: Route) -> None:
    serving = gateway.route(served.name)
    assert serving is not None
    with pytest.raises(ServingError, match="its archive is the same"):
        gateway.open_split(split(serving))
    with pytest.raises(ServingError, match="is served here"):
        gateway.open_split(split(candidate.model_copy(update={"model": "no_such_model"})))
    assert gateway.split(served.name) is None


def test_two_processes_take_promotions_and_rollbacks_over_without_a_failed_request(
    platform: Platform, served: Model, candidate: Route
) -> None:
    with platform.listening(GATEWAY_WORKERS="2"):
        gateway = Gateway()
        before = gateway.route(served.name)
        assert before is not None
        seconds = []
        with load_on(platform, served.name, per_second=100) as load:
            for turn in range(6):
                time.sleep(0.3)
                started = time.monotonic()
                gateway.put(before if turn % 2 else candidate, "rollback")
                seconds.append(time.monotonic() - started)
            time.sleep(0.3)
            switched = len(load.answers)
            time.sleep(0.5)

    assert (load.refusals, load.faults) == ([], [])
    assert {answer["run_id"] for answer in load.answers[switched:]} == {before.run_id}
    print("seconds of each change over two processes:", [round(each, 3) for each in sorted(seconds)])
    assert sorted(seconds)[3] < 0.5, "0.1 s is the goal on a quiet machine"
    assert load.ids <= {row["prediction_id"] for row in platform.logged("predictions", served.name)}
