"""Airflow's own API server, in this process: the report
pages and who may see them, the form, the buttons of a task.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from tasks.contracts import Action, LateRun, LedgerEntry, ModelFigures
from tasks.ledger import entries
from tasks.monitoring.alerts.late import note_late
from tasks.monitoring.slo.figures import keep
from tasks.stores.database import ledger_entries
from tests.dags.runs import RunDag, SetScript
from tests.unit.tampering import tamper

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

TRAIN = "train_review_sentiment"
DRIFT = "drift_review_sentiment"
FIGURES = "/perennial/ledger/figures"


@pytest.fixture
def runs(home: Path) -> Path:
    folder = home / "runs" / "ingest_reviews" / "run 1" / "ingest"
    folder.mkdir(parents=True)
    (folder / "a.html").write_text("<h1>Report</h1>")
    (folder / "a.json").write_text("{}")
    (folder / "rows.parquet").write_text("rows")
    (folder / "<b>.html").write_text("")
    (home / "secrets.json").write_text('{"password": "secret"}')
    (folder / "out.json").symlink_to(home / "secrets.json")
    return home / "runs"


PAGE = "/perennial/runs/ingest_reviews/run%201/ingest"


@pytest.mark.parametrize(
    "path", [f"{PAGE}/a.html", PAGE, "/perennial/runs/", "/perennial/runs/%2e%2e/secrets.json"]
)
def test_nobody_sees_a_report_without_logging_in(stranger: "TestClient", runs: Path, path: str) -> None:
    assert stranger.get(path).status_code == 401
    assert stranger.get(path, headers={"Authorization": "Bearer nonsense"}).status_code in {401, 403}


def test_a_logged_in_browser_sees_a_report_by_its_cookie(
    stranger: "TestClient", runs: Path, token: str
) -> None:
    answer = stranger.get(f"{PAGE}/a.html", headers={"Cookie": f"_token={token}"})
    assert (answer.status_code, answer.text) == (200, "<h1>Report</h1>")


def test_a_report_is_sandboxed_because_it_shows_strangers_data(user: "TestClient", runs: Path) -> None:
    for path in (f"{PAGE}/a.html", PAGE, f"{PAGE}/missing.html"):
        headers = user.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("sandbox")
        assert "allow-same-origin" not in policy
        assert "default-src 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_the_folder_of_a_step_lists_its_reports_and_nothing_else(user: "TestClient", runs: Path) -> None:
    page = user.get(PAGE).text
    assert "a.html" in page
    assert "a.json" in page
    assert "rows.parquet" not in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    "path",
    [
        f"{PAGE}/rows.parquet",
        f"{PAGE}/out.json",
        f"{PAGE}/missing.html",
        "/perennial/runs/../secrets.json",
        "/perennial/runs/%2e%2e/secrets.json",
        "/perennial/runs/..%2fsecrets.json",
        "/perennial/runs//etc/passwd.json",
        "/perennial/runs/%00.json",
        "/perennial/runs/" + "x" * 5000 + ".html",
        "/perennial/runs/" + quote("\ud800".encode("utf-8", "surrogatepass")) + ".html",
    ],
)
def test_nothing_outside_the_reports_is_served(user: "TestClient", runs: Path, path: str) -> None:
    answer = user.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace("secrets.json", "")


def test_reports_can_only_be_read(user: "TestClient", runs: Path) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert user.request(method, f"{PAGE}/a.html").status_code == 405
    assert (runs / "ingest_reviews" / "run 1" / "ingest" / "a.html").exists()


def test_the_figures_of_each_model_are_given_as_they_were_kept(
    stranger: "TestClient", token: str, home: Path
) -> None:
    known = ModelFigures(
        model="review_sentiment", at=datetime(2026, 11, 20, tzinfo=UTC), model_version="1",
        serving_since=None, promoted_at=None, state="quiet", checked_at=None, labelled=3, accuracy=None,
        latency_seconds=0.1, objectives=(),
    )  # fmt: skip
    keep(known)
    told = stranger.get(FIGURES, headers={"Authorization": f"Bearer {token}"}).json()["figures"]
    assert [ModelFigures.model_validate(each) for each in told] == [known]


def test_the_ledger_is_given_as_json_to_those_who_are_logged_in_alone(
    stranger: "TestClient", token: str, home: Path
) -> None:
    pages, known = (
        ("/perennial/ledger/entries", "/perennial/ledger/broken", "/perennial/ledger/late", FIGURES),
        {"Authorization": f"Bearer {token}"},
    )
    first, second = (
        entries.record(
            model=model,
            actor="somebody",
            action=Action.GATE,
            before=None,
            after="hold",
            why="Too few rows.",
            evidence={"rows": 1},
        )
        for model in ("reviews", "flights")
    )

    assert [stranger.get(page).status_code for page in pages] == [401, 401, 401, 401]
    told = stranger.get(pages[0], headers=known).json()["entries"]
    assert [LedgerEntry.model_validate(entry) for entry in told] == [first, second]
    late = LateRun(dag_id="train_flights", run_id="slow", name="flights", deadline=first.at)
    note_late(late)
    [run] = stranger.get(pages[2], headers=known).json()["late"]
    assert LateRun.model_validate(run) == late
    [of_flights] = stranger.get(f"{pages[0]}?model=flights", headers=known).json()["entries"]
    assert of_flights["sequence"] == second.sequence
    assert stranger.get(pages[1], headers=known).json() == {"broken": [], "findings": []}
    tamper(sa.update(ledger_entries).where(ledger_entries.c.sequence == 2).values(why="Enough rows."))
    found = stranger.get(pages[1], headers=known).json()
    assert (found["broken"], len(found["findings"])) == ([2], 1)


def test_a_bad_value_is_refused_when_the_run_is_asked_for(
    user: "TestClient", run_dag: RunDag, heavy: SetScript
) -> None:
    run_dag("collect_review_sentiment")  # makes the DAGs known to the database
    bad = [
        (TRAIN, {"epochs": 0}),
        (TRAIN, {"epochs": "many"}),
        (TRAIN, {"as_of": "yesterday"}),
        (TRAIN, {"reason": 5}),
        ("ingest_reviews", {"files": ["../../etc/passwd"]}),
        ("drift_review_sentiment", {"window_end": "soon"}),
    ]
    for dag_id, conf in bad:
        answer = user.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
        assert answer.status_code == 400
        [name] = conf
        assert name in answer.json()["detail"]


def test_the_buttons_of_a_task_lead_to_its_reports_and_its_mlflow_run(
    user: "TestClient", run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    run = run_dag(TRAIN)

    def links(task_id: str) -> dict[str, str | None]:
        answer = user.get(f"/api/v2/dags/{TRAIN}/dagRuns/{quote(run.run_id)}/taskInstances/{task_id}/links")
        return dict(answer.json()["extra_links"])

    report = links("validate")["Validation report"]
    assert report.startswith("/prefix/perennial/runs/train_review_sentiment/")
    assert user.get(report.removeprefix("/prefix")).text == "<h1>All is well</h1>"
    assert links("train") == {"MLflow run": "http://127.0.0.1:5000/#/experiments/7/runs/run-1"}
    assert set(links("gate")) == {"Evaluation report", "MLflow run"}
    assert links("snapshot") == {}


def test_the_first_button_of_a_drift_check_leads_to_its_page_and_the_second_to_evidentlys(
    user: "TestClient", run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    folder = home / "runs" / "drift"
    folder.mkdir(parents=True)
    (folder / "check.html").write_text("<h1>Quiet</h1>")
    left = {"page_url": str(folder / "check.html"), "report_url": str(folder / "drift.html")}
    heavy({"drift": [{"result": left}]})
    run = run_dag(DRIFT)

    answer = user.get(f"/api/v2/dags/{DRIFT}/dagRuns/{quote(run.run_id)}/taskInstances/drift/links")

    links = dict(answer.json()["extra_links"])
    assert list(links) == ["Drift check", "Evidently's report"]
    assert links["Evidently's report"] == "/prefix/perennial/runs/drift/drift.html"
    assert user.get(links["Drift check"].removeprefix("/prefix")).text == "<h1>Quiet</h1>"
