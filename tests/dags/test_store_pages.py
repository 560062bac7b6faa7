"""The report pages and links where the runs folder lies on an object store."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plugins.pages.links import report_page
from plugins.runners.connections import reach_store
from tasks.settings import settings
from tasks.stores import files
from tests.services.guarded import Key, connect, guarded, key, place, private_key  # noqa: F401 - fixtures
from tests.services.object_stores import BUCKET, ObjectStore, forget, point_to, s3  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

STEP = "ingest_reviews/run-1/ingest"


@pytest.fixture
def runs(s3: ObjectStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:  # noqa: F811
    """A runs folder with reports, and beside it, in the same bucket, what nobody may see."""
    url = f"s3://{BUCKET}/{uuid.uuid4().hex[:8]}"
    point_to(s3, url, home, monkeypatch)
    files.write_text(url, "secrets.json", text='{"password": "secret"}')
    for name in ("a.html", "a.json", "rows.parquet", "<b>.html", "inner/c.html"):
        files.write_text(settings().runs, STEP, name, text="<h1>Report</h1>")
    yield settings().runs
    forget()


def test_a_link_leads_to_the_page_of_a_report_and_to_the_list_of_a_step(
    user: "TestClient", runs: str
) -> None:
    page = report_page(f"{runs}/{STEP}/a.html")
    assert page.endswith(f"/perennial/runs/{STEP}/a.html")
    answer = user.get(page[page.index("/perennial/") :])
    assert (answer.status_code, answer.text) == (200, "<h1>Report</h1>")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    listed = user.get(f"/perennial/runs/{STEP}").text
    assert all(name in listed for name in ("a.html", "a.json", "inner/", "&lt;b&gt;.html"))
    assert "rows.parquet" not in listed
    assert "<b>" not in listed
    assert report_page(f"s3://{BUCKET}/elsewhere/a.html") == ""
    assert report_page("/srv/runs/of/before/the/store/moved.html") == ""


@pytest.mark.parametrize(
    "path",
    [
        f"{STEP}/rows.parquet",
        f"{STEP}/missing.html",
        "nowhere",
        "../secrets.json",
        "%2e%2e/secrets.json",
        f"{STEP}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secrets.json",
        "..%2fsecrets.json",
        "/secrets.json",
        f"%2f{BUCKET}/secrets.json",
        f"s3:%2f%2f{BUCKET}/secrets.json",
        "%00.json",
        "x" * 5000 + ".html",
    ],
)
def test_nothing_beside_the_reports_is_served(user: "TestClient", runs: str, path: str) -> None:
    answer = user.get(f"/perennial/runs/{path}")
    assert answer.status_code == 404
    assert "password" not in answer.text


def test_a_stranger_sees_nothing(stranger: "TestClient", runs: str) -> None:
    assert stranger.get(f"/perennial/runs/{STEP}/a.html").status_code == 401


def test_a_store_that_is_down_is_said_so(
    user: "TestClient", runs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget()
    answer = user.get(f"/perennial/runs/{STEP}/a.html")
    assert answer.status_code == 503
    assert "http://127.0.0.1:9 does not answer" in answer.json()["detail"]


def test_the_report_pages_go_by_the_connection(
    place: str,  # noqa: F811
    key: Key,  # noqa: F811
    user: "TestClient",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert user.get("/perennial/runs/x/a.html").status_code == 503
    connect(monkeypatch, keyfile_dict=key)
    reach_store()
    files.write_text(settings().runs, "x/a.html", text="<h1>Report</h1>")
    forget()

    assert user.get("/perennial/runs/x/a.html").text == "<h1>Report</h1>"
