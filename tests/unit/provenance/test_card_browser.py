"""The card as a browser shows it: axe finds nothing serious, in light and dark, on a screen and a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tasks.provenance.card import html_of
from tests.conftest import PROJECT
from tests.unit.cards import card
from tests.unit.provenance.test_card import hostile

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = (PROJECT / "tests" / "axe" / "axe.min.js").read_text(encoding="utf-8")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("card") / "card.html"
    path.write_text(html_of(card()), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    browser: Browser, file: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.goto(file.as_uri())
    page.evaluate(AXE)  # by the driver's own protocol, which the page's policy does not bind
    found = page.evaluate("axe.run().then((found) => found.violations)")
    serious = [each for each in found if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_it_loads_nothing_and_runs_nothing_even_of_hostile_text(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(html_of(hostile()), encoding="utf-8")
    page, heard = browser.new_page(), list[str]()
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    assert heard == [path.as_uri()]
    assert page.locator("img, script, iframe").count() == 0
    styled = page.evaluate("getComputedStyle(document.querySelector('h2')).borderBottomStyle")
    assert styled == "solid", "the policy lets the page's own style through"
    page.close()


def test_every_section_is_reached_by_the_keyboard(browser: Browser, file: Path) -> None:
    page = browser.new_page()
    page.goto(file.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#purpose"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#limits")
    page.close()
