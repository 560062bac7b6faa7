"""The Models pages at Airflow's own API server, in a real browser and without one: what they show."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from playwright.sync_api import BrowserContext, FrameLocator

from tasks.contracts import Action, Curve, Mismatch, TrainingCurves
from tasks.ledger import entries
from tasks.overview.evidence import told
from tasks.release import agreement
from tasks.settings import settings
from tests.dags.browsing import (
    AXE,
    FRESH,
    NEEDS_BROWSER,
    admin,
    browser,
    end,
    entry_of,
    keep_curves,
    leave,
    opened,
    past,
    server,
)
from tests.unit.overview.past import HOSTILE, MODEL, Past

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

__all__ = ["admin", "browser", "past", "server"]

pytestmark = NEEDS_BROWSER


def test_the_overview_says_of_each_model_what_the_ledger_says(admin: BrowserContext, server: str) -> None:
    page = opened(admin, f"{server}/perennial/models/")
    card = page.locator(f"[data-model={MODEL}]")
    switch, check, gate = entry_of(Action.DEPLOY), entry_of(Action.DRIFT), entry_of(Action.GATE, "promote")

    serves = card.locator(".serves").inner_text()
    assert f"version {switch.after}" in serves
    assert f"{switch.at:%Y-%m-%d %H:%M} UTC" in serves
    assert gate.why[:80] in serves
    [metric] = gate.evidence["evaluation"]["candidate"]["metrics"]
    assert all(told(metric[name]) in card.locator(".score").inner_text() for name in ("value", "low", "high"))
    assert check.why[:80] in card.locator(".drift").inner_text()
    assert card.locator(".traffic").inner_text() == f"version {switch.after} answers everything"
    assert "batch is in quarantine" in card.locator(".last").inner_text()
    assert card.locator("svg.spark").get_attribute("aria-label") == "accuracy of the last 3 candidates"
    empty = page.locator(f"[data-model={FRESH}] .serves").inner_text()
    assert "Nothing yet" in empty


def test_a_models_page_tells_its_decisions_and_each_opens_its_evidence(
    admin: BrowserContext, server: str
) -> None:
    page = opened(admin, f"{server}/perennial/models/{MODEL}")
    shown = [int(str(each.get_attribute("data-entry"))) for each in page.locator(".timeline li").all()]
    assert shown == [each.sequence for each in reversed(entries.history(MODEL)) if each.action != Action.DONE]

    gate = entry_of(Action.GATE, "promote")
    page.click(f"[data-entry='{gate.sequence}'] a")
    page.wait_for_url(f"**/decisions/{gate.sequence}")
    rows = [row.inner_text() for row in page.locator(".rules tbody tr").all()]
    rules = gate.evidence["decision"]["rules"]
    assert len(rows) == len(rules)
    for row, rule in zip(rows, rules, strict=True):
        assert rule["rule"].replace("_", " ") in row
        assert told(rule["threshold"]) in row
        assert ("passed" if rule["passed"] else rule["blocks"]) in row
    plots = page.locator("figure figcaption").all_inner_texts()
    assert plots == ["accuracy of candidate and champion", "Candidate minus champion", "Slices"]
    assert page.locator("svg.forest g.champion circle").count() == 1

    check = entry_of(Action.DRIFT)
    page.goto(f"{server}/perennial/models/{MODEL}/decisions/{check.sequence}")
    assert "0.9" in page.locator(".rules").inner_text()
    assert "0.65" in page.locator(".rules").inner_text()
    for kept in check.evidence["distributions"]:
        column = page.locator(".column").and_(page.locator(f"[data-column={json.dumps(kept['column'])}]"))
        shown = [row.locator("td").all_text_contents() for row in column.locator("details tbody tr").all()]
        told_of = [[f"{100 * side:.4g} %" for side in pair] for pair in kept["shares"]]
        assert shown[: len(told_of)] == told_of
        assert column.locator("rect.now").count() == len(shown)
    alarming = page.locator(".column:visible")
    assert alarming.count() == 1, "the other one is a click away"
    page.click("details.others summary")
    assert page.locator(".column:visible").count() == 2


def test_accuracy_in_service_is_drawn_from_the_checks_with_its_threshold(
    user: "TestClient", past: Past
) -> None:
    shown = user.get(f"/perennial/models/{MODEL}").text
    chart = shown[shown.index('id="accuracy-t"') : shown.index('id="scores-t"')]
    windows = {
        window["start"]: window
        for check in entries.history(MODEL, [Action.DRIFT])
        for window in check.evidence["measured"]["windows"]
    }
    assert chart.count("<title>") == len(windows)
    for window in windows.values():
        assert f"{window['labelled']} labels" in chart
        assert f'<td class="n">{told(window["value"])}</td>' in chart
        assert f'<td class="n">{told(window["threshold"])}</td>' in chart


def test_what_people_and_data_say_is_text_and_the_page_loads_and_runs_nothing_else(
    admin: BrowserContext, server: str
) -> None:
    page = admin.new_page()
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    gate, check = entry_of(Action.GATE, "promote"), entry_of(Action.DRIFT)
    for path in (MODEL, f"{MODEL}/decisions/{gate.sequence}", f"{MODEL}/decisions/{check.sequence}"):
        page.goto(f"{server}/perennial/models/{path}")
        assert HOSTILE[:20] in page.content().replace("&lt;", "<").replace("&gt;", ">")
        assert page.locator("main img, main script, iframe").count() == 0
    assert not [each for each in heard if not each.startswith(f"{server}/perennial/models/")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(
    admin: BrowserContext, server: str, scheme: Any, trained: dict[str, Any]
) -> None:
    gate, check = entry_of(Action.GATE, "promote"), entry_of(Action.DRIFT)
    page = admin.new_page()
    page.emulate_media(color_scheme=scheme)
    decisions = [f"{MODEL}/decisions/{each.sequence}" for each in (gate, check)]
    for path in ("", MODEL, FRESH, *decisions, "nobody"):
        page.goto(f"{server}/perennial/models/{path}")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document).then((told) => told.violations)")
        grave = [
            (each["id"], [node["html"][:200] for node in each["nodes"]][:3])
            for each in found
            if each["impact"] in {"serious", "critical"}
        ]
        assert grave == [], path


def test_a_phone_shows_every_page_without_scrolling_sideways(
    admin: BrowserContext, server: str, trained: dict[str, Any]
) -> None:
    gate, check = entry_of(Action.GATE, "promote"), entry_of(Action.DRIFT)
    page = admin.new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ("", MODEL, f"{MODEL}/decisions/{gate.sequence}", f"{MODEL}/decisions/{check.sequence}"):
        page.goto(f"{server}/perennial/models/{path}")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_the_pages_answer_reading_alone_and_nobody_who_is_not_logged_in(
    stranger: "TestClient", past: Past
) -> None:
    for path in ("", MODEL, f"{MODEL}/live", f"{MODEL}/decisions/1", "-/of-dag/rollback_model"):
        url = f"/perennial/models/{path}"
        assert stranger.get(url).status_code == 401
        shown = stranger.get(url, headers={"Accept": "text/html"})
        assert (shown.status_code, "/api/v2/auth/login?next=" in shown.headers["location"]) == (307, True)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert stranger.request(method, url).status_code == 405


def test_its_policy_lets_in_nothing_from_elsewhere(user: "TestClient", past: Past) -> None:
    for path in (
        "",
        MODEL,
        f"{MODEL}/live",
        "-/pages.css",
        "-/pages.js",
        "nobody",
        f"{MODEL}/decisions/9999",
    ):
        headers = user.get(f"/perennial/models/{path}").headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "nobody",
        "a%00b",
        "a%00b/live",
        "a%00b/versions/1/card",
        "..%2f..%2fetc%2fpasswd",
        f"{MODEL}/decisions/-1",
        f"{MODEL}/decisions/1e3",
        f"{MODEL}/decisions/{2**63}",
        f"{MODEL}/decisions/9999",
        "nobody/decisions/1",
        f"{MODEL}?before=yesterday",
        f"{MODEL}/versions/..%2f1/card",
        "-/pages.js%00",
    ],
)
def test_an_address_of_nothing_is_told_so(user: "TestClient", past: Past, path: str) -> None:
    answer = user.get(f"/perennial/models/{path}")
    assert answer.status_code == 404
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_at_work_appears_without_a_new_page_being_asked_for(
    admin: BrowserContext, server: str, user: "TestClient"
) -> None:
    page = opened(admin, f"{server}/perennial/models/{FRESH}")
    assert "Nothing of this model is at work" in page.locator("#live").inner_text()
    started = user.post(f"/api/v2/dags/train_{FRESH}/dagRuns", json={"logical_date": None, "conf": {}}).json()

    page.locator(f"#live [data-run='{started['dag_run_id']}']").wait_for()
    assert f"train_{FRESH}" in page.locator("#live").inner_text()
    assert "more to come" in page.locator("#live .steps").inner_text()

    keep_curves(started, training(0.5, 0.25))
    curve = page.locator(f"#live [data-run='{started['dag_run_id']}'] [data-curve='validation loss']")
    curve.wait_for()
    assert "0.25 at epoch 2; from 0.25 to 0.5" in curve.inner_text()
    assert "Epoch 2 of 6, at most about" in page.locator("#live .training").inner_text()
    assert page.locator("#live [data-curve]").count() == 2
    curve.locator("summary").click()
    keep_curves(started, training(0.5, 0.25, 0.125))
    page.locator("#live td", has_text="0.125").first.wait_for()
    rows = curve.locator("tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [["3", "0.125"], ["2", "0.25"], ["1", "0.5"]], "it stays open"
    path = str(curve.locator("path").get_attribute("d"))
    assert [each[0] for each in re.findall(r"[ML][\d.]+ [\d.]+", path)] == ["M", "L", "L"]
    page.close()


def training(*losses: float, ended: datetime | None = None) -> TrainingCurves:
    """What a training of six epochs says of itself after some of them; a metric has any name."""
    points = tuple((float(epoch), loss) for epoch, loss in enumerate(losses, start=1))
    curves = tuple(Curve(name=name, points=points) for name in ("validation loss", HOSTILE))
    now = datetime.now(UTC)
    how_far = {"unit": "epoch", "done": len(losses), "total": 6, "seconds_left": None if ended else 90.0}
    return TrainingCurves(run_id="a" * 32, begun_at=now, at=now, ended_at=ended, curves=curves, **how_far)


@pytest.fixture
def trained(user: "TestClient", past: Past) -> dict[str, Any]:
    """A run of the model that has a past, whose training has ended and left its curves."""
    run: dict[str, Any] = user.post(
        f"/api/v2/dags/train_{MODEL}/dagRuns", json={"logical_date": None, "conf": {}}
    ).json()
    keep_curves(run, training(0.5, 0.25, ended=datetime.now(UTC)))
    return run


def test_the_curves_of_the_last_training_stay_with_the_name_of_its_run(
    user: "TestClient", trained: dict[str, Any]
) -> None:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.scalars(sa.select(DagRun).where(DagRun.run_id == trained["dag_run_id"])).one()
        before, run.state = run.state, "success"
    shown = user.get(f"/perennial/models/{MODEL}/live").text
    with create_session() as session:
        session.scalars(sa.select(DagRun).where(DagRun.run_id == trained["dag_run_id"])).one().state = before
    assert f'data-trained="{trained["dag_run_id"]}"' in shown
    assert "<strong>Epoch 2 of 6.</strong>" in shown
    assert f"MLflow run <code>{'a' * 32}</code>, ended" in shown
    assert 'data-curve="validation loss"' in shown
    assert HOSTILE not in shown


def test_what_somebody_has_started_by_hand_is_at_work_at_its_own_model_alone(
    user: "TestClient", past: Past
) -> None:
    asked = {"logical_date": None, "conf": {"model": MODEL, "reason": "It is worse."}}
    started = user.post("/api/v2/dags/rollback_model/dagRuns", json=asked).json()
    for model, is_there in ((MODEL, True), (FRESH, False)):
        shown = user.get(f"/perennial/models/{model}/live").text
        assert (started["dag_run_id"] in shown) == is_there


def test_a_page_that_was_drawn_before_a_decision_says_that_it_is_old(
    admin: BrowserContext, server: str, past: Past
) -> None:
    page = opened(admin, f"{server}/perennial/models/{MODEL}")
    page.locator("[data-act=rollback] summary").click()  # what somebody has opened is not taken away
    assert page.locator("#stale").is_hidden()

    entry = past.quarantined("batch-8")

    page.locator("#stale button").click()
    page.locator(f".timeline [data-entry='{entry.sequence}']").wait_for()
    page.close()


def settling(user: "TestClient", state: str) -> str:
    """A run of the DAG of each minute that had something to settle, and how that ended; its id."""
    asked: dict[str, Any] = {"logical_date": None, "conf": {}}
    run_id = str(user.post("/api/v2/dags/reconcile_ledger/dagRuns", json=asked).json()["dag_run_id"])
    end("reconcile_ledger", run_id, "reconcile", state)
    return run_id


def test_the_pages_say_where_what_is_there_is_not_what_the_ledger_says(
    user: "TestClient", past: Past
) -> None:
    def shown(path: str) -> str:
        return user.get(f"/perennial/models/{path}").text

    settling(user, "success")
    now, allowed = datetime.now(UTC), timedelta(minutes=settings().loop_silent_minutes)
    moved = "ann changed the alias champion of MLflow to version 1, but version 2 serves."
    agreement.note([Mismatch(model=MODEL, kind="person", entry=None, why=moved)], now)
    for path in ("", MODEL):
        assert moved in shown(path)
        assert 'id="compared"' in shown(path)
    assert "not as decided" not in shown(FRESH)

    agreement.note([], now - 2 * allowed)
    for path in ("", MODEL, FRESH):
        assert "not as decided" not in shown(path)
        assert 'id="not-compared"' in shown(path)
        assert 'id="compared"' not in shown(path)


def test_the_pages_say_that_what_did_not_agree_could_not_be_settled(user: "TestClient", past: Past) -> None:
    settling(user, "success")
    assert 'id="not-settled"' not in user.get("/perennial/models/").text

    run_id = settling(user, "failed")

    for path in ("", MODEL):
        page = user.get(f"/perennial/models/{path}").text
        assert 'id="not-settled"' in page
        assert f"/dags/reconcile_ledger/runs/{quote(run_id)}" in page


def test_the_keyboard_reaches_everything_that_can_be_used(admin: BrowserContext, server: str) -> None:
    page = opened(admin, f"{server}/perennial/models/{FRESH}")
    wanted = page.evaluate(
        "[...document.querySelectorAll("
        "'a[href], summary, button, input, select, textarea, [tabindex=\"0\"]')]"
        ".filter((each) => each.checkVisibility() && !each.disabled)"
        ".filter((each) => !each.closest('details:not([open]) > :not(summary)'))"
        ".map((each, number) => { each.dataset.number = number; return number; })"
    )
    reached = set()
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("Number(document.activeElement.dataset.number ?? -1)"))
    assert set(wanted) <= reached

    page.locator("[data-act=trigger] summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "reason"
    page.close()


def test_from_airflows_home_everything_is_found_in_two_clicks(admin: BrowserContext, server: str) -> None:
    """As who has never seen it goes: what serves, why it was promoted, the last check, how to roll back."""
    page = opened(admin, f"{server}/")
    clicks = 0

    page.get_by_role("link", name="Models", exact=True).click()
    clicks += 1
    frame = page.frame_locator("iframe[title=Models]")
    card = frame.locator(f"[data-model={MODEL}]")
    card.wait_for()
    gate, check = entry_of(Action.GATE, "promote"), entry_of(Action.DRIFT)
    assert "version 2" in card.locator(".serves").inner_text()
    assert gate.why[:60] in card.locator(".serves").inner_text()
    assert check.why[:60] in card.locator(".drift").inner_text()
    assert clicks == 1

    card.locator("h2 a").click()
    clicks += 1
    act = frame.locator("[data-act=rollback]")
    act.wait_for()
    assert act.locator("summary").inner_text() == "Roll back"
    assert clicks == 2
    page.close()


def test_a_dag_has_a_tab_that_shows_its_model(admin: BrowserContext, server: str) -> None:
    page = opened(admin, f"{server}/dags/train_{MODEL}/plugin/model")
    frame = page.frame_locator("iframe[title=Model]")
    assert frame.locator("h1").inner_text().startswith(MODEL)
    page.close()


def test_the_pages_follow_airflows_own_theme_whatever_the_browser_prefers(
    admin: BrowserContext, server: str
) -> None:
    page = admin.new_page()
    page.emulate_media(color_scheme="light")
    page.goto(f"{server}/plugin/models")
    frame = page.frame_locator("iframe[title=Models]")
    frame.locator(f"[data-model={MODEL}]").wait_for()
    papers: dict[str, str] = {}

    for theme, said in (("dark", "Dark Mode"), ("light", "Light Mode")):
        page.get_by_role("button", name="User").click()
        page.get_by_role("menuitem", name="Appearance").click()
        page.get_by_text(said, exact=True).click()
        frame.locator(f":root[data-theme={theme}]").wait_for()
        papers[theme] = paper_of(frame)
    assert len(set(papers.values())) == 2
    page.close()


def paper_of(frame: FrameLocator) -> str:
    """The colour behind a page's text."""
    return str(frame.locator("body").evaluate("(body) => getComputedStyle(body).backgroundColor"))


def test_a_version_leads_to_its_own_page_in_mlflow(user: "TestClient", past: Past) -> None:
    shown = user.get(f"/perennial/models/{MODEL}").text
    for version in ("1", "2"):
        assert f'href="{settings().mlflow_url}/#/models/{MODEL}/versions/{version}"' in shown


def test_a_version_leads_to_its_model_card_where_the_step_has_left_one(
    user: "TestClient", past: Past
) -> None:
    run = user.post(f"/api/v2/dags/train_{MODEL}/dagRuns", json={"logical_date": None, "conf": {}}).json()
    assert user.get(f"/perennial/models/{MODEL}/versions/2/card").status_code == 404
    left = {"version": "2", "report_url": f"{settings().runs}/train/run/describe/card.html"}
    leave(run, "describe", left)

    assert f"/perennial/models/{MODEL}/versions/2/card" in user.get(f"/perennial/models/{MODEL}").text
    answer = user.get(f"/perennial/models/{MODEL}/versions/2/card")
    assert answer.headers["location"] == "/prefix/perennial/runs/train/run/describe/card.html"
    assert user.get(f"/perennial/models/{MODEL}/versions/1/card").status_code == 404
