"""Which server the gateway asks, how often it tries again, and what it reads in tensors."""

from pathlib import Path

import pytest
from perennial_gateway.backends.base import BackendFault
from perennial_gateway.backends.budget import MOST, RetryBudget
from perennial_gateway.backends.oip import Oip, answers_of, tensors_of
from perennial_gateway.backends.replicas import Replica, choose
from perennial_gateway.web import Refused

VERSION = ("m", "1")


def replicas(count: int) -> list[Replica]:
    return [Replica(Oip(f"http://127.0.0.1:{place}", Path("none")), place) for place in range(count)]


def test_the_least_busy_server_is_asked_first() -> None:
    one, two, three = replicas(3)
    one.busy, two.busy, three.busy = 3, 1, 2

    assert choose([one, two, three], VERSION, now=0) == [two, three, one]
    one.busy = two.busy = three.busy = 0
    one.turn, two.turn, three.turn = 8, 9, 7
    assert choose([one, two, three], VERSION, now=0) == [three, one, two]


def test_a_server_that_lacks_the_version_or_is_away_comes_last() -> None:
    away, lacking, busy = replicas(3)
    away.down, lacking.lacks[VERSION], busy.busy = True, 5.0, 100

    assert choose([away, lacking, busy], VERSION, now=4.0) == [busy, lacking, away]
    assert choose([away, lacking, busy], VERSION, now=6.0) == [lacking, busy, away]
    assert choose([away, lacking, busy], ("m", "2"), now=4.0)[0] is lacking


def test_an_outage_is_multiplied_by_a_fifth_at_most() -> None:
    budget = RetryBudget()
    tried = 0
    for request in range(10_000):
        budget.earn(1)
        tried += budget.spend(request / 1000)  # a thousand a second, each of which fails

    assert tried <= MOST + 0.2 * 10_000 + 10 * 10


def test_few_requests_may_be_tried_again_too() -> None:
    budget = RetryBudget()
    while budget.spend(0.0):
        pass

    assert not budget.spend(0.05)
    assert budget.spend(0.2)


def test_instances_become_the_tensors_that_the_metadata_name() -> None:
    flat = [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    whole = [{**flat[0], "name": "instance", "parameters": {"content_type": "application/json"}}]
    instances = [{"text": "one"}, {"text": "two"}]

    assert tensors_of(instances, flat)[0]["data"] == ["one", "two"]
    assert tensors_of(instances, whole)[0]["data"] == ['{"text":"one"}', '{"text":"two"}']


def output(name: str, *data: object, json: bool = False) -> dict[str, object]:
    more = {"parameters": {"content_type": "application/json"}} if json else {}
    return {"name": name, "datatype": "BYTES", "shape": [len(data)], "data": list(data), **more}


def test_outputs_become_answers_and_errors() -> None:
    document = {
        "outputs": [
            output("prediction", "a", ""),
            output("score", 0.5, 0.0),
            output("scores", '{"a":0.5}', "", json=True),
            output("error", "", "No."),
            output("status", 200, 400),
        ]
    }

    assert answers_of(document, 2) == [
        {"prediction": "a", "score": 0.5, "scores": {"a": 0.5}},
        {"error": "No.", "status": 400},
    ]


def test_another_server_need_only_predict() -> None:
    assert answers_of({"outputs": [output("prediction", 1)]}, 1) == [{"prediction": 1}]
    with pytest.raises(Refused, match="without an output named prediction"):
        answers_of({"outputs": [output("other", 1)]}, 1)
    with pytest.raises(BackendFault, match="not one answer came to each of 2"):
        answers_of({"outputs": [output("prediction", 1)]}, 2)
