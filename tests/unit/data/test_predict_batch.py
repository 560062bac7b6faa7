"""A table is predicted row by row, over HTTP and into a real lake; killed anywhere, no row is lost or there
twice.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.contracts import PredictBatchRequest, StepContext
from tasks.data import predict_batch as verb
from tasks.data.batch_answers import answers_of, as_line, requests_of
from tasks.data.predict_batch import append, job_of, predict_batch
from tasks.errors import InvalidQuery, InvalidRequest, LakeError, ServingError
from tasks.settings import settings
from tasks.stores.lake import Lake
from tests.unit.reviews import SPEC, as_table, reviews

END = {"done": True, "model_version": "3", "run_id": "r"}
Says = Callable[[int, dict[str, Any]], dict[str, Any]]


class Answering(BaseHTTPRequestHandler):
    """As the gateway answers `/internal/predict_batch/{model}`; `says` is what is planted."""

    says: Says
    cut_at: set[int]
    bodies: list[list[dict[str, Any]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        instances = [json.loads(line) for line in body.split(b"\n")]
        number = len(self.bodies)
        self.bodies.append(instances)
        told = [{"index": place} | type(self).says(number, each) for place, each in enumerate(instances)]
        lines = [json.dumps(each) for each in (told if number in self.cut_at else [*told, END])]
        self.send_response(200)
        self.end_headers()
        self.wfile.write("\n".join(lines).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def predicted(_: int, instance: dict[str, Any]) -> dict[str, Any]:
    return {"prediction_id": instance["text"], "prediction": len(instance["text"]) % 2, "score": 0.5}


@pytest.fixture
def gateway(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answering]]:
    handler = type("Handler", (Answering,), {"says": staticmethod(predicted), "cut_at": set(), "bodies": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("PERENNIAL_GATEWAY_TOKEN", "x" * 40)
    monkeypatch.setattr(verb, "WAITS_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(verb, "ROWS_AN_APPEND", 4)
    monkeypatch.setattr(verb, "ROWS_A_REQUEST", 3)
    settings.cache_clear()
    Lake().append("reviews", as_table(reviews(10)), batch_id="first")
    yield handler
    server.shutdown()
    server.server_close()


def asked(source: str = "reviews", into: str = "scored", run: str = "manual__1") -> PredictBatchRequest:
    key = f"predict_batch_{SPEC.name}/{run}/predict_batch/-1"
    context = StepContext(actor="test", step_key=key, work_url="/none")
    return PredictBatchRequest(context=context, spec=SPEC, source=source, into=into, as_of=datetime.now(UTC))


def scored() -> list[dict[str, Any]]:
    return Lake().query("SELECT * FROM scored ORDER BY source_row", ["scored"]).to_pylist()


def test_each_row_has_its_prediction_beside_what_the_source_says_of_it(gateway: type[Answering]) -> None:
    done = predict_batch(asked("SELECT review_id, text FROM reviews ORDER BY review_id"))

    rows = scored()
    assert (done.rows, done.errors, done.versions) == (10, 0, ("3",))
    assert [row["prediction_id"] for row in rows] == [row["text"] for row in rows]
    assert {row["review_id"] for row in rows} == {f"r{number}" for number in range(10)}
    assert [set(each) for each in gateway.bodies[0]] == [{"text"}] * 3  # the model's features, and no more


def test_a_row_that_is_refused_says_why_and_holds_up_no_other(gateway: type[Answering]) -> None:
    def says(number: int, instance: dict[str, Any]) -> dict[str, Any]:
        bad = instance["text"] == "Film 7."
        return {"status": 422, "error": "text: too short"} if bad else predicted(number, instance)

    gateway.says = staticmethod(says)
    done = predict_batch(asked())

    errors = [(row["text"], row["error"], row["prediction"]) for row in scored() if row["error"]]
    assert (done.rows, done.errors) == (10, 1)
    assert errors == [("Film 7.", "422: text: too short", None)]


@pytest.mark.parametrize("dies_at", range(5))
def test_killed_at_any_request_the_step_run_again_neither_doubles_nor_loses_a_row(
    gateway: type[Answering], dies_at: int
) -> None:
    request = asked()
    gateway.cut_at = {dies_at}
    with pytest.raises(ServingError):
        predict_batch(request)
    Lake().append("reviews", as_table(reviews(5, first=10)), batch_id="second")  # the source goes on growing
    predict_batch(request)
    predict_batch(request)

    assert [row["source_row"] for row in scored()] == list(range(10))


def test_another_try_that_was_faster_is_not_doubled_and_another_run_appends_its_own(
    gateway: type[Answering],
) -> None:
    request = asked()
    predict_batch(request)
    stale = Lake().read("scored").slice(0, 4).drop(["ingested_at", "batch_id"])
    append(Lake(), "scored", stale, job_of(request), 0)
    assert len(scored()) == 10

    predict_batch(asked(run="manual__2"))
    assert len(scored()) == 20


def test_a_backend_that_is_away_for_a_moment_costs_no_row_and_one_that_stays_away_ends_the_try(
    gateway: type[Answering],
) -> None:
    def at_first(number: int, instance: dict[str, Any]) -> dict[str, Any]:
        return {"status": 503, "error": "no worker"} if number == 0 else predicted(number, instance)

    gateway.says = staticmethod(at_first)
    assert predict_batch(asked()).errors == 0

    gateway.says = staticmethod(lambda *_: {"status": 503, "error": "no worker"})
    with pytest.raises(ServingError, match="answered none of 3 rows: no worker"):
        predict_batch(asked(run="manual__2"))


def test_an_answer_that_was_cut_off_is_none(gateway: type[Answering]) -> None:
    gateway.cut_at = {0}
    with pytest.raises(ServingError, match="cut off"):
        predict_batch(asked())
    assert answers_of(b'{"index": 0}\n{"index": 2}\n{"done": true}', 2) is None
    assert answers_of(b'{"index": 0}\n{"ind', 2) is None


@pytest.mark.parametrize(
    ("source", "into", "fault", "told"),
    [
        ("SELECT review_id FROM reviews", "scored", InvalidRequest, r"\['text'\], which review_sentiment"),
        ("SELECT text, 1 AS score FROM reviews", "scored", InvalidRequest, r"\['score'\]"),
        ("SELECT text, random() AS x FROM reviews", "scored", InvalidQuery, "random"),
        ("SELECT text FROM nothing", "scored", InvalidQuery, "nothing"),
        ("DELETE FROM reviews", "scored", InvalidQuery, "One SELECT"),
        ("reviews", "others", InvalidRequest, "none of predictions"),
    ],
)
def test_what_cannot_be_predicted_is_refused_before_anything_is_asked(
    gateway: type[Answering], source: str, into: str, fault: type[LakeError], told: str
) -> None:
    Lake().append("others", as_table(reviews(1)), batch_id="other")
    with pytest.raises(fault, match=told):
        predict_batch(asked(source, into))
    assert gateway.bodies == []


@pytest.mark.parametrize("into", ["reviews", "review_sentiment__predictions", "Scored", "a__b"])
def test_a_table_that_holds_data_or_is_kept_by_perennial_is_no_place_for_predictions(into: str) -> None:
    with pytest.raises(ValidationError, match="into"):
        asked("SELECT text FROM reviews", into)


def test_lines_are_sent_in_their_order_in_bodies_of_bounded_rows_and_bytes() -> None:
    lines = [b"x" * size for size in (3, 3, 30, 1, 1, 1)]
    bodies = list(requests_of(lines, most_rows=2, most_bytes=10))
    assert bodies == [[b"xxx", b"xxx"], [b"x" * 30], [b"x", b"x"], [b"x"]]


def test_times_and_numbers_that_json_has_not_are_told_as_json() -> None:
    line = as_line({"at": datetime(2026, 1, 5, tzinfo=UTC), "value": float("nan")})
    assert json.loads(line) == {"at": "2026-01-05T00:00:00+00:00", "value": None}
