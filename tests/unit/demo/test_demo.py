"""The demo counts honestly: a request that fails is never lost from its report."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from demo.failure import StepFailed, require
from demo.memory import PeakMemory, tree_pss_mib
from demo.report import Report
from demo.telling import Telling
from demo.traffic import Answered, ConstantLoad, Review, Users, accuracy
from tasks.settings import PROJECT

REVIEWS = [Review("a fine film", 1), Review("a dull film", 0)]


class Service:
    """A gateway whose next answers are decided by a test: a real server on a free loopback port."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.default_status = 200
        self.run_id = "first"
        self.received: list[dict] = []

    @contextmanager
    def serving(self) -> Iterator[str]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.received.append({"path": self.path, **body})
                status = service.statuses.pop(0) if service.statuses else service.default_status
                count = len(body.get("instances", body.get("feedback", [])))
                predictions = [
                    {"prediction_id": f"p{n}", "prediction": 1, "score": 0.9} for n in range(count)
                ]
                document = {"run_id": service.run_id, "predictions": predictions, "accepted": count}
                answer = json.dumps(document if status == 200 else {"error": "no"}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


@pytest.fixture
def service() -> Service:
    return Service()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def test_every_failed_request_of_the_constant_load_is_counted(service: Service) -> None:
    service.statuses = [200, 200, 503, 200, 500]
    with service.serving() as url, ConstantLoad(url, "m", REVIEWS, per_second=200, threads=1) as load:
        wait_until(lambda: load.sent >= 10)
    assert len(load.failures) == 2
    assert "503" in load.failures[0]
    assert load.served_by["first"] == load.sent - 2


def test_a_404_before_the_first_model_is_no_failure_and_afterwards_it_is(service: Service) -> None:
    service.statuses = [404, 404, 200, 404, 200]
    with service.serving() as url, ConstantLoad(url, "m", REVIEWS, per_second=200, threads=1) as load:
        wait_until(lambda: load.sent >= 5)
    assert load.before_first == 2
    assert [failure.split()[1] for failure in load.failures] == ["404:"]


def test_a_service_that_is_down_before_the_first_model_is_a_failure() -> None:
    with Service().serving() as url:
        pass
    with ConstantLoad(url, "m", REVIEWS, per_second=200, threads=1) as load:
        wait_until(lambda: load.sent >= 2)
    assert len(load.failures) == load.sent


def test_the_load_knows_which_model_answered(service: Service) -> None:
    with service.serving() as url, ConstantLoad(url, "m", REVIEWS, per_second=200) as load:
        load.wait_for_answers("first", answers=5, timeout_seconds=10)
        service.run_id = "second"
        load.wait_for_answers("second", answers=5, timeout_seconds=10)
        with pytest.raises(StepFailed, match="run third answered 0"):
            load.wait_for_answers("third", answers=1, timeout_seconds=0.3)


def test_the_load_keeps_its_rate(service: Service) -> None:
    with service.serving() as url, ConstantLoad(url, "m", REVIEWS, per_second=20, threads=2) as load:
        time.sleep(1.0)
    assert 5 <= load.sent <= 24


def test_users_send_all_reviews_and_labels_in_chunks(service: Service) -> None:
    with service.serving() as url:
        users = Users(url, "m")
        answered = users.predict(REVIEWS * 60)
        assert users.tell_labels(answered) == 120
    assert [len(request.get("instances", request.get("feedback", []))) for request in service.received] == [
        50,
        50,
        20,
    ] * 2
    assert users.sent == 6
    assert accuracy(answered) == 0.5
    assert service.received[0]["path"] == "/v1/models/m/predict"


def test_a_refused_request_of_a_user_is_counted_and_told(service: Service) -> None:
    service.statuses = [503]
    with service.serving() as url:
        users = Users(url, "m")
        with pytest.raises(StepFailed, match="503"):
            users.predict(REVIEWS)
    assert len(users.failed) == users.sent == 1


def test_accuracy_is_the_share_of_true_answers() -> None:
    answered = [Answered(review, "p", 1, "r") for review in [REVIEWS[0], REVIEWS[0], REVIEWS[1]]]
    assert accuracy(answered) == pytest.approx(2 / 3)


def test_a_failed_step_stays_in_the_report_with_its_time() -> None:
    report, output = Report(short=True), io.StringIO()
    telling = Telling(report, Console(file=output))
    with pytest.raises(StepFailed, match="the sky is green"), telling.step("Look up"):
        require(condition=False, sentence="the sky is green")
    assert not report.steps[0].ok
    assert "✗ Look up" in output.getvalue()


def test_the_report_is_whole_json(tmp_path: Path) -> None:
    report = Report(short=True)
    with Telling(report, Console(file=io.StringIO())).step("One") as step:
        step.facts["rows"] = 3
    report.write(tmp_path / "demo-report.json")
    read = json.loads((tmp_path / "demo-report.json").read_text())
    assert read["steps"] == [{"title": "One", "seconds": 0.0, "ok": True, "facts": {"rows": 3}}]
    assert read["machine"]["cpus"] >= 1
    assert [path.name for path in tmp_path.iterdir()] == ["demo-report.json"]


def test_markup_in_a_sentence_is_printed_not_read() -> None:
    output = io.StringIO()
    Telling(Report(short=True), Console(file=output)).say("a list [1, 2] and [/] a tag")
    assert "a list [1, 2] and [/] a tag" in output.getvalue()


def test_the_peak_memory_counts_children_and_survives_their_end() -> None:
    hog = "import sys; block = bytearray(60 << 20); print('full', flush=True); sys.stdin.read()"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hog!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tree:
        assert tree.stdin
        assert tree.stdout
        with PeakMemory(tree.pid, every_seconds=0.05) as memory:
            assert tree.stdout.readline() == b"full\n"
            wait_until(lambda: memory.peak_mib > 60)
            tree.stdin.close()
            tree.wait(10)
            time.sleep(0.2)
    assert 60 < memory.peak_mib < 150


def test_the_memory_of_this_process_is_plausible() -> None:
    import psutil

    assert 10 < tree_pss_mib(psutil.Process(os.getpid())) < 20_000


def test_the_demo_touches_no_state_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    environment = {**os.environ, "PERENNIAL_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "demo", "--exit", "--short"]
    done = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "state that is not a demo's" in done.stdout
    assert (tmp_path / "precious").read_text() == "data"
