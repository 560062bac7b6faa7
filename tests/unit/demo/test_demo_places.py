"""The demo's story does not know where it is told: on
processes, or on a stack of containers behind one address.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo import data, on_compose
from demo.failure import StepFailed
from demo.on_compose import OnCompose
from demo.report import Report
from demo.stage import Stage
from demo.story import SHORT, Story
from demo.telling import Telling
from demo.traffic import ConstantLoad, Review, Users
from tasks.settings import settings
from tasks.stores.files import at

HEALTHY = {"metadatabase": {"status": "healthy"}, "scheduler": {"status": "healthy"}}


@dataclass
class Entrance:
    """What answers at the stack's one address: paths and their answers, the next one of a list."""

    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    url: str = ""
    prediction_token: str | None = None

    def answer(self, path: str, authorization: str | None) -> tuple[int, Any]:
        if (
            path.startswith("/v1/")
            and self.prediction_token
            and authorization != f"Bearer {self.prediction_token}"
        ):
            return 401, {"error": "This needs the header Authorization."}
        there = self.answers.get(path, [(404, {})])
        return there.pop(0) if len(there) > 1 else there[0]


@pytest.fixture
def entrance(monkeypatch: pytest.MonkeyPatch) -> Iterator[Entrance]:
    found = Entrance()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer()

        def _answer(self) -> None:
            status, document = found.answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("DEMO_ENTRANCE", found.url)
    monkeypatch.setenv("DEMO_ADDRESS", "https://localhost:8443")
    monkeypatch.setenv("DEMO_PASSWORD", "secret")
    monkeypatch.setattr(on_compose, "POLL_SECONDS", 0.01)
    yield found
    server.shutdown()
    server.server_close()


def test_it_waits_until_every_service_behind_the_entrance_answers(entrance: Entrance) -> None:
    ill = HEALTHY | {"scheduler": {"status": "unhealthy"}}
    entrance.answers["/api/v2/monitor/health"] = [(503, {}), (200, ill), (200, HEALTHY)]
    entrance.answers["/v1/models"] = [(503, {}), (200, {"models": []})]
    told: list[str] = []

    stage: Stage = OnCompose()
    stage.prepare()
    scene = stage.start(told.append)

    assert told == ["Airflow: 503", "Airflow: scheduler unhealthy", "the gateway: 503"]
    assert (scene.airflow, scene.gateway) == (entrance.url, entrance.url)
    assert scene.pages["MLflow"] == "https://localhost:8443/mlflow/", "a browser reaches it by another name"
    assert "secret" not in str(scene)


def test_the_gateway_is_asked_with_the_token_that_its_users_need(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    entrance.answers |= {"/api/v2/monitor/health": [(200, HEALTHY)], "/v1/models": [(200, {"models": []})]}
    entrance.answers["/v1/models/m/predict"] = [
        (200, {"run_id": "r", "predictions": [{"prediction_id": "p", "prediction": 1}]})
    ]
    entrance.prediction_token = "t0ken"
    monkeypatch.setenv("DEMO_PREDICTION_TOKEN", "t0ken")

    scene = OnCompose().start(lambda _: None)
    users, reviews = Users(scene.gateway, "m", scene.prediction_token), [Review("fine", 1)]
    assert len(users.predict(reviews)) == 1
    with ConstantLoad(scene.gateway, "m", reviews, token=scene.prediction_token) as load:
        load.wait_for_answers("r", answers=1, timeout_seconds=10)

    assert load.failures == []
    assert "t0ken" not in f"{scene} {users}"
    with pytest.raises(StepFailed, match="401"):
        Users(scene.gateway, "m").predict(reviews)


def test_a_platform_that_never_answers_is_named(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_compose, "HEALTHY_WITHIN_SECONDS", 0.05)
    with pytest.raises(StepFailed, match="Airflow: 404"):
        OnCompose().start(lambda _: None)


def test_a_refused_login_is_told_without_the_password(entrance: Entrance) -> None:
    entrance.answers["/auth/token"] = [(201, {"access_token": "a token"}), (401, {"detail": "no"})]
    assert OnCompose().token() == "a token"
    with pytest.raises(StepFailed, match="401") as refused:
        OnCompose().token()
    assert "secret" not in str(refused.value)


def test_outside_its_container_it_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)
    with pytest.raises(StepFailed, match="make demo ON=compose"):
        OnCompose().prepare()


def test_a_platform_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    class Used:
        def runs(self, dag_id: str) -> list[dict[str, str]]:
            by = "manual" if dag_id.startswith("train") else "scheduled"
            return [{"dag_run_id": "theirs", "run_type": by}]

    telling = Telling(Report(short=True), Console(quiet=True))
    with pytest.raises(StepFailed, match="in use: train_review_sentiment ran before"):
        Story(Used(), None, telling, SHORT, tmp_path).tell()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "landing", ["memory://landing", "{home}/landing"], ids=["an object store", "a folder"]
)
def test_files_land_whole_wherever_the_landing_folder_is(
    home: Path, monkeypatch: pytest.MonkeyPatch, landing: str
) -> None:
    monkeypatch.setenv("PERENNIAL_LANDING_URL", landing.format(home=home))
    settings.cache_clear()
    file = home / "reviews.jsonl"
    file.write_text('{"text": "fine"}\n')

    data.land([file])

    folder = at(settings().landing, "reviews")
    assert [(found.name, found.read_text()) for found in folder.iterdir()] == [
        ("reviews.jsonl", '{"text": "fine"}\n')
    ]
