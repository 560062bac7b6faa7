"""Who may read sees what was predicted, newest first, and how right each version was, with an interval."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator
from perennial_gateway.app import application
from perennial_gateway.database import as_text, connect, failures, feedback, predictions, takebacks
from perennial_gateway.history import History, Page, SchemasOf, Window
from perennial_gateway.intervals import mean, wilson
from perennial_gateway.schemas import Schema
from scipy import stats
from starlette.testclient import TestClient

from tests.unit.gateway.test_app import ROUTE, STEPS
from tests.unit.gateway.test_settings import settings

DAY = datetime(2026, 11, 1, tzinfo=UTC)
CLASSES, NUMBERS = {"type": "integer", "enum": [0, 1]}, {"type": "number"}


def at(minutes: float) -> str:
    return as_text(DAY + timedelta(minutes=minutes))


def prediction(number: int, **changes: Any) -> dict[str, Any]:
    own = {"prediction_id": f"{number:032x}", "model": "m", "model_version": "1", "run_id": "r"}
    told = {"features": '{"text":"a"}', "prediction": "1", "score": 0.5, "predicted_at": at(number)}
    return own | told | changes


def label(number: int, value: str, **changes: Any) -> dict[str, Any]:
    own = {"prediction_id": f"{number:032x}", "model": "m", "label": value, "received_at": at(1000)}
    return own | {"sent_by": "shop"} | changes


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    made = connect(url)
    yield made
    made.dispose()


def keep(engine: sa.Engine, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    with engine.begin() as connection:
        connection.execute(table.insert(), rows)


def all_keep(schema: dict[str, Any]) -> SchemasOf:
    return lambda _model, versions: dict.fromkeys(versions, Schema(schema))


def of_version(
    engine: sa.Engine, schema: dict[str, Any] = CLASSES, **window: Any
) -> dict[str, dict[str, Any]]:
    found = History(engine, all_keep(schema)).statistics("m", Window(**window))["versions"]
    return {row["model_version"]: row for row in found}


@pytest.mark.parametrize(("correct", "of"), [(0, 1), (1, 1), (7, 10), (50, 100), (999, 1000)])
def test_a_share_has_wilsons_interval(correct: int, of: int) -> None:
    found = wilson(correct, of)
    expected = stats.binomtest(correct, of).proportion_ci(method="wilson")
    assert found == pytest.approx((correct / of, expected.low, expected.high))


def test_a_mean_has_an_interval_from_two_values_on() -> None:
    assert wilson(0, 0) is None
    assert mean(3.0, 9.0, 1) is None
    found = mean(6.0, 14.0, 3)
    assert found == pytest.approx((2.0, 2 - 1.96 * 3**-0.5, 2 + 1.96 * 3**-0.5), rel=1e-4)


def test_pages_hold_every_prediction_once_newest_first(engine: sa.Engine) -> None:
    same = at(7)  # as of one request
    keep(
        engine,
        predictions,
        [prediction(n, predicted_at=same if n in {6, 7, 8} else at(n)) for n in range(1, 11)],
    )
    keep(engine, predictions, [prediction(99, model="other")])
    history, found, cursor = History(engine, all_keep(CLASSES)), [], None
    for _ in range(5):
        page = history.page("m", Page(limit=3, cursor=cursor))
        found += [int(row["prediction_id"], 16) for row in page["predictions"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert history.page("m", Page(limit=1))["predictions"][0]["features"] == {"text": "a"}


def test_a_page_is_of_one_version_and_a_window(engine: sa.Engine) -> None:
    keep(engine, predictions, [prediction(n, model_version=str(n % 2)) for n in range(10)])
    page = Page(version="1", since=DAY + timedelta(minutes=3), until=DAY + timedelta(minutes=7))
    found = History(engine, all_keep(CLASSES)).page("m", page)["predictions"]
    assert [int(row["prediction_id"], 16) for row in found] == [5, 3]


def test_the_last_label_that_was_not_taken_back_counts(engine: sa.Engine) -> None:
    keep(engine, predictions, [prediction(n, model_version="1" if n < 3 else "2") for n in range(5)])
    labels = [label(0, "1"), label(1, "1"), label(1, "0"), label(3, "1"), label(3, "0", sent_by="thief")]
    keep(engine, feedback, labels)
    taken = {"model": "m", "sent_by": "thief", "since": None, "until": at(2000), "labels": 1, "why": "w"}
    before = of_version(engine)
    keep(engine, takebacks, [taken])
    keep(
        engine,
        failures,
        [
            {
                "model": "m",
                "failed_at": at(4),
                "model_version": "2",
                "run_id": "r",
                "status": 503,
                "requests": 7,
                "reason": "r",
            }
        ],
    )

    after = of_version(engine)

    assert [row["predictions"] for row in after.values()] == [2, 3], "the newest version first"
    assert (before["2"]["labelled"], before["2"]["correctness"]["value"]) == (1, 0.0)
    assert (after["2"]["labelled"], after["2"]["correctness"]["value"]) == (1, 1.0)
    assert after["1"]["correctness"] == pytest.approx(wilson(1, 2)._asdict())
    assert (after["1"]["failed_requests"], after["2"]["failed_requests"]) == (0, 7)
    assert "mean_absolute_error" not in after["1"]
    assert set(of_version(engine, since=DAY + timedelta(minutes=3))) == {"2"}


def test_of_numbers_the_mean_absolute_error_is_told_and_what_is_no_number_is_left_out(
    engine: sa.Engine,
) -> None:
    keep(
        engine,
        predictions,
        [prediction(n, prediction=str(1.5 * n)) for n in range(4)] + [prediction(9, prediction='"x"')],
    )
    keep(engine, feedback, [label(n, "1.0") for n in (0, 1, 2, 3, 9)])
    (found,) = of_version(engine, NUMBERS).values()
    errors = [1.0, 0.5, 2.0, 3.5]
    assert found["mean_absolute_error"]["value"] == pytest.approx(sum(errors) / 4)
    assert found["mean_absolute_error"]["low"] < sum(errors) / 4 < found["mean_absolute_error"]["high"]
    assert "correctness" not in found
    assert found["labelled"] == 5


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("since=0.5", "since"),
        ("limit=0", "limit: "),
        ("limit=1001", "limit: "),
        ("since=yesterday", "since: "),
        ("until=2026-11-01T00:00:00", "until: "),
        ("cursor=x", "cursor: "),
        ("version=%00", "version: "),
        ("page=2", "The parameters are since, until, version, limit, cursor"),
    ],
)
def test_a_wrong_parameter_is_named(url: str, query: str, fault: str) -> None:
    with TestClient(application(settings(gateway_database_url=url))) as client:
        client.put("/internal/routes/m", json=ROUTE, headers=STEPS)
        answer = client.get(f"/v1/models/m/predictions?{query}")
        assert client.get("/v1/models/m/predictions").json() == {"predictions": [], "next_cursor": None}
        assert client.get("/v1/models/m/statistics").json() == {"model": "m", "versions": []}
        assert client.get("/v1/models/none/statistics").status_code == 404
    assert (answer.status_code, fault in answer.json()["error"]) == (422, True), answer.text


def test_a_database_without_the_index_gains_it(url: str) -> None:
    for _ in range(2):
        engine = connect(url)
        with engine.begin() as connection:
            there = {index["name"] for index in sa.inspect(connection).get_indexes("predictions")}
            connection.execute(sa.text("DROP INDEX predictions_by_time"))
        engine.dispose()
        assert "predictions_by_time" in there


def test_two_hundred_thousand_predictions_are_counted_and_paged_quickly(engine: sa.Engine) -> None:
    numbers = range(200_000)
    keep(
        engine,
        predictions,
        [prediction(n, predicted_at=at(n / 60), model_version=str(n // 50_000)) for n in numbers],
    )
    keep(engine, feedback, [label(n, "1") for n in numbers[::10]])
    history, began = History(engine, all_keep(CLASSES)), time.perf_counter()
    versions = history.statistics("m", Window())["versions"]
    counted = time.perf_counter()
    old = history.page("m", Page(version="0", until=DAY + timedelta(minutes=100)))["predictions"]
    paged = time.perf_counter()

    assert [row["predictions"] for row in versions] == [50_000] * 4
    assert [row["labelled"] for row in versions] == [5_000] * 4
    assert len(old) == 100
    assert counted - began < 2
    assert paged - counted < 0.5
    print(f"statistics {counted - began:.3f} s, page {paged - counted:.4f} s")


def test_the_statistics_are_told_to_who_asks_the_gateway(url: str) -> None:
    engine = connect(url)
    keep(engine, predictions, [prediction(1), prediction(2)])
    keep(engine, feedback, [label(1, "1")])
    engine.dispose()
    with TestClient(application(settings(gateway_database_url=url))) as client:
        client.put("/internal/routes/m", json=ROUTE, headers=STEPS)
        told = client.get("/v1/models/m/statistics").json()
        call = client.get("/openapi.json").json()["paths"]["/v1/models/m/statistics"]["get"]
        schema = call["responses"]["200"]["content"]["application/json"]["schema"]
        assert list(Draft202012Validator(schema).iter_errors(told)) == []
        (found,) = told["versions"]
        listed = client.get("/v1/models/m/predictions").json()["predictions"]
    assert (found["model_version"], found["predictions"], found["labelled"]) == ("1", 2, 1)
    assert found["correctness"]["value"] == 1.0
    assert [row["prediction"] for row in listed] == [1, 1]
