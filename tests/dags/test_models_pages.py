"""The Models pages at Airflow's own API server, in a real browser and without one."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from embedded.ports import free_port
from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries
from tasks.overview.evidence import told
from tasks.settings import PROJECT, settings
from tasks.stores import database
from tests.unit.overview.past import HOSTILE, MODEL, Past, lived

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = PROJECT / "tests" / "axe" / "axe.min.js"
FRESH = "flight_delay"
"""A model of the project that has no past."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def past(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A ledger with a past, and the shipped DAGs in Airflow's database, switched on."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    home = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PERENNIAL_HOME", str(home))
        settings.cache_clear()
        database.engine.cache_clear()
        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(DagBag(str(PROJECT / "dags")), "dags-folder", None)
        yield lived()
        database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture(scope="module")
def server(stranger: "TestClient", past: Past) -> Iterator[str]:
    """Airflow's API server at a port of its own, below the prefix that its base URL names."""
    import uvicorn

    port = free_port()
    running = uvicorn.Server(uvicorn.Config(stranger.app, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until(lambda: running.started, "the API server")
    yield f"http://127.0.0.1:{port}/prefix"
    running.should_exit = True
    thread.join(timeout=60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def admin(browser: Browser, server: str) -> Iterator[BrowserContext]:
    yield from logged_in(browser, server, "admin")


@pytest.fixture(scope="module")
def viewer(browser: Browser, server: str) -> Iterator[BrowserContext]:
    yield from logged_in(browser, server, "guest")


def logged_in(browser: Browser, server: str, name: str) -> Iterator[BrowserContext]:
    """A browser that somebody has logged in with, by Airflow's own form."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{server}/perennial/models/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", "secret")
    page.click("button[type=submit]")
    page.wait_for_url("**/perennial/models/")
    page.close()
    yield context
    context.close()


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s in vain for {what}")


def opened(context: BrowserContext, url: str, **how: Any) -> Page:
    page = context.new_page()
    page.goto(url, **how)
    return page


def entry_of(action: Action, after: str | None = None) -> LedgerEntry:
    """The newest entry of a kind about the model."""
    found = [each for each in entries.history(MODEL, [action]) if after in {None, each.after}]
    return found[-1]


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
def test_axe_finds_no_serious_fault(admin: BrowserContext, server: str, scheme: Any) -> None:
    gate = entry_of(Action.GATE, "promote")
    page = admin.new_page()
    page.emulate_media(color_scheme=scheme)
    for path in ("", MODEL, FRESH, f"{MODEL}/decisions/{gate.sequence}", "nobody"):
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


def test_a_phone_shows_every_page_without_scrolling_sideways(admin: BrowserContext, server: str) -> None:
    gate = entry_of(Action.GATE, "promote")
    page = admin.new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ("", MODEL, f"{MODEL}/decisions/{gate.sequence}"):
        page.goto(f"{server}/perennial/models/{path}")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
