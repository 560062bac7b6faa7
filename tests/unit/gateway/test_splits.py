"""Which version answers whom while a model has two: evenly drawn, sticky, and as testers ask."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from perennial_gateway.app import application
from perennial_gateway.routes import Route, Served
from perennial_gateway.splits import Routing, TrafficSplit, draw
from starlette.testclient import TestClient

from tests.unit.gateway.models import STEPS, Models, route, serving, split
from tests.unit.gateway.test_settings import settings

CALLERS = [f"caller-{number}" for number in range(20_000)]


def routing(**changes: Any) -> Routing:
    opened = TrafficSplit.model_validate(split("2", **changes))
    return Routing(Served(Route.model_validate(route("1")), "now"), opened, Served(opened.candidate, "now"))


def versions(callers: list[str], **changes: Any) -> list[str]:
    of_split = routing(**changes)
    return [of_split.choose(caller, []).served.route.model_version for caller in callers]


def test_callers_are_drawn_evenly() -> None:
    tenths = Counter(int(10 * draw("r1", caller)) for caller in CALLERS)

    expected = len(CALLERS) / 10
    chi_square = sum((tenths[tenth] - expected) ** 2 / expected for tenth in range(10))
    assert chi_square < 27.9, "9 degrees of freedom: one in a thousand"


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 1.0])
def test_a_share_of_the_callers_gets_the_candidate(share: float) -> None:
    got = versions(CALLERS, share=share, sticky_by="sender").count("2") / len(CALLERS)
    assert got == pytest.approx(share, abs=0.01 if 0 < share < 1 else 0)


def test_a_caller_stays_where_it_is_and_one_who_has_the_candidate_keeps_it_in_the_next_step() -> None:
    first = versions(CALLERS, share=0.05, sticky_by="sender")
    again = versions(CALLERS, share=0.05, sticky_by="sender")
    more = versions(CALLERS, share=0.25, sticky_by="sender")

    assert first == again
    assert all(later == "2" for before, later in zip(first, more, strict=True) if before == "2")


def test_another_rollout_draws_other_callers() -> None:
    one = versions(CALLERS, share=0.1, sticky_by="sender")
    other = versions(CALLERS, share=0.1, sticky_by="sender", release_id="r2")

    both = sum(a == b == "2" for a, b in zip(one, other, strict=True))
    assert both / len(CALLERS) == pytest.approx(0.01, abs=0.005)


def test_a_header_keeps_a_caller_at_one_version_and_without_it_each_request_is_drawn() -> None:
    of_split = routing(share=0.5, sticky_by="header:X-Customer")

    def drawn(headers: dict[bytes, bytes]) -> set[str | None]:
        return {of_split.choose("shop", headers.items()).role for _ in range(200)}

    assert len(drawn({b"x-customer": b"7"})) == 1
    assert drawn({}) == {"stable", "candidate"}


def test_a_copy_goes_to_the_candidate_for_the_share_of_what_the_stable_version_answers() -> None:
    of_split = routing(share=0.5, shadow_share=0.5)
    chosen = [of_split.choose(None, []) for _ in range(8000)]

    copied = [one for one in chosen if one.shadow is not None]
    assert {(one.role, one.shadow and one.shadow.route.model_version) for one in copied} == {("stable", "2")}
    assert len(copied) / len(chosen) == pytest.approx(0.25, abs=0.03)


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as made:
        made.add("1", 1)
        made.add("2", 2)
        made.add("3", 3)
        yield made


@pytest.fixture
def gateway(models: Models, tmp_path: Path) -> Iterator[TestClient]:
    with started(models, tmp_path) as client:
        assert client.put("/internal/routes/m", json=route("1"), headers=STEPS).status_code == 200
        yield client


def started(models: Models, folder: Path) -> TestClient:
    url = f"sqlite:///{folder / 'gateway.db'}"
    return TestClient(application(settings(gateway_database_url=url, torchserve_inference_url=models.url)))


def put(gateway: TestClient, **changes: Any) -> Any:
    return gateway.put("/internal/splits/m", json=split("2", **changes), headers=STEPS)


def answered_by(gateway: TestClient, **headers: str) -> Any:
    answer = gateway.post("/v1/models/m/predict", json={"instances": [{"text": "a"}]}, headers=headers)
    return answer.json().get("model_version", answer.status_code)


def test_a_tester_names_the_version_and_is_in_no_comparison(gateway: TestClient) -> None:
    put(gateway, share=0.0)

    assert answered_by(gateway) == "1"
    assert answered_by(gateway, **{"X-Perennial-Version": "2"}) == "2"
    assert answered_by(gateway, **{"X-Perennial-Version": "1"}) == "1"
    refused = gateway.post(
        "/v1/models/m/predict", json={"instances": [{}]}, headers={"X-Perennial-Version": "7"}
    )
    assert (refused.status_code, refused.json()["versions"]) == (404, ["1", "2"])
    assert "Versions that do: 1, 2." in refused.json()["error"]
    rows = gateway.get("/internal/log/predictions?model=m", headers=STEPS).json()["rows"]
    assert [(row["model_version"], row["role"]) for row in rows] == [
        ("1", "stable"),
        ("2", None),
        ("1", None),
    ]


def test_a_split_outlives_a_restart_and_a_change_of_the_route_ends_it(models: Models, tmp_path: Path) -> None:
    with started(models, tmp_path) as gateway:
        gateway.put("/internal/routes/m", json=route("1"), headers=STEPS)
        opened = put(gateway, share=1.0).json()
        assert answered_by(gateway) == "2"
    with started(models, tmp_path) as gateway:
        assert gateway.get("/internal/splits/m", headers=STEPS).json() == opened
        assert answered_by(gateway) == "2"
        gateway.put("/internal/routes/m", json=route("3"), headers=STEPS)
        assert answered_by(gateway) == "3"
        gateway.put("/internal/routes/m", json=route("1"), headers=STEPS)
        assert answered_by(gateway) == "1", "the split is not of this route"
        assert gateway.get("/internal/splits/m", headers=STEPS).status_code == 404


@pytest.mark.parametrize("how", ["delete the split", "put the same route", "withdraw and put"])
def test_a_split_ends(gateway: TestClient, how: str) -> None:
    put(gateway, share=1.0)
    if how == "delete the split":
        assert gateway.delete("/internal/splits/m", headers=STEPS).status_code == 200
    if how == "withdraw and put":
        gateway.delete("/internal/routes/m", headers=STEPS)
        assert answered_by(gateway) == 404
    if how != "delete the split":
        gateway.put("/internal/routes/m", json=route("1"), headers=STEPS)

    assert answered_by(gateway) == "1"
    assert gateway.get("/internal/splits/m", headers=STEPS).status_code == 404
    assert gateway.delete("/internal/splits/m", headers=STEPS).status_code == 404


def test_a_repeated_split_is_one_record_and_a_promotion_keeps_answering(gateway: TestClient) -> None:
    first, again = put(gateway, share=0.5).json(), put(gateway, share=0.5).json()
    more = put(gateway, share=1.0).json()
    gateway.put("/internal/routes/m", json=route("2"), headers=STEPS)

    assert first == again
    assert more["sequence"] == first["sequence"] + 1
    assert answered_by(gateway) == "2"
    assert gateway.get("/internal/splits/m", headers=STEPS).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"candidate": route("1")}, 422, "its archive is the same"),
        ({"candidate": route("2", model="other")}, 422, "was put for 'm'"),
        ({"share": 1.5}, 422, "share: "),
        ({"sticky_by": "header:"}, 422, "`sender`, `header:<name>` or nothing"),
        ({"kind": "other"}, 422, "kind: "),
        ({"release_id": "\0"}, 422, "release_id: "),
        ({"candidate": route("2", input_schema={"type": "nonsense"})}, 422, "not a JSON Schema"),
    ],
)
def test_a_split_that_cannot_be_is_refused(
    gateway: TestClient, changes: dict[str, Any], status: int, said: str
) -> None:
    answer = put(gateway, **changes)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_a_split_needs_a_route(gateway: TestClient) -> None:
    gateway.delete("/internal/routes/m", headers=STEPS)
    assert put(gateway).status_code == 404
    assert gateway.put("/internal/splits/m", json=split("2")).status_code == 401


def test_the_probe_reaches_the_candidate_and_leaves_no_trace(gateway: TestClient) -> None:
    put(gateway)

    def probed(**query: str) -> Any:
        body = {"instances": [{"text": "a"}]}
        return gateway.post("/internal/probe/m", params=query, json=body, headers=STEPS)

    assert probed().json()["model_version"] == "1"
    assert probed(version="2").json()["run_id"] == "run-2"
    assert probed(version="9").status_code == 404
    assert gateway.get("/internal/log/predictions?model=m", headers=STEPS).json()["rows"] == []
