"""A heartbeat that is not taken is a fault that names no secret, whatever is at its address."""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException

from plugins.heartbeat import send_heartbeat
from tasks.settings import settings
from tests.dags.inboxes import serving


class Elsewhere(HTTPServer):
    """Answers with a status, and leads to itself; what was asked is in `asked`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 200
        self.asked: list[str] = []


class _Answer(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_POST(self) -> None:
        self._answer(self.server.status)

    def do_GET(self) -> None:
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.server.asked.append(self.command)
        self.send_response(status)
        self.send_header("Location", "/login")
        self.send_header("Content-Length", "1000000")  # which never come
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the test looks itself."""


@pytest.fixture
def elsewhere(home: Path) -> Iterator[Elsewhere]:
    server = Elsewhere()
    with serving(server):
        yield server


def beat_to(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What becomes of a heartbeat to an address, with all that a log would have of it."""
    monkeypatch.setenv("PERENNIAL_HEARTBEAT_URL", url)
    settings.cache_clear()
    try:
        send_heartbeat(datetime.now(UTC))
    except AirflowException as error:
        return "".join(traceback.format_exception(error))
    return "taken"


def test_a_heartbeat_that_leads_elsewhere_is_not_taken(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{elsewhere.server_port}/ping"
    elsewhere.status = 302
    assert "was not taken by 127.0.0.1 (status 302)" in beat_to(url, monkeypatch)
    assert elsewhere.asked == ["POST"]


def test_of_the_answer_only_the_head_is_waited_for(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert beat_to(f"http://127.0.0.1:{elsewhere.server_port}/ping", monkeypatch) == "taken"


@pytest.mark.parametrize(
    "url",
    [
        "http://[s3cret",
        "http://s3cret@[::1/",
        "http://s3cret:s3cret@127.0.0.1:9/s3cret",
        f"http://{'a' * 64}.example/s3cret",
        "http://127.0.0.1:99999/s3cret",
        "http://exa mple/s3cret",
        "http://\u2100.example/s3cret",
        "s3cret",
    ],
)
def test_an_address_that_is_none_is_told_without_its_secret(
    url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = beat_to(url, monkeypatch)
    assert "look whether PERENNIAL_HEARTBEAT_URL is right" in told
    assert "s3cret" not in told
