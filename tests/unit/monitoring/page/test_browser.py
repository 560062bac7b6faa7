"""The page as a browser shows it: on a screen, a phone, in the dark and in print."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tasks.monitoring.page.of_check import Checked, page_of
from tasks.monitoring.page.render import render

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

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
def file(changed: Checked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "check.html"
    path.write_text(render(page_of(changed)), encoding="utf-8")
    return path


def watched(page: Page) -> list[str]:
    """Everything that a page asks for or complains about."""
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    return heard


def test_it_asks_for_nothing_but_itself_and_complains_of_nothing(browser: Browser, file: Path) -> None:
    page = browser.new_page()
    heard = watched(page)
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    assert heard == [file.as_uri()]
    assert page.locator("img, script, iframe").count() == 0


@pytest.mark.parametrize("width", [320, 390, 800, 1400])
def test_it_is_never_wider_than_the_screen(browser: Browser, file: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_text_can_be_told_from_its_ground(browser: Browser, file: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(file.as_uri())
    assert page.evaluate(CONTRASTS) >= 4.5, "what WCAG 2.2 asks of text, level AA"


def test_in_print_it_is_light_and_no_drawing_is_torn(browser: Browser, file: Path) -> None:
    page = browser.new_page(
        color_scheme="dark", viewport={"width": 718, "height": 1000}
    )  # A4 within its margins
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(file.as_uri())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).breakInside") == "avoid"
    assert page.evaluate(
        "[...document.querySelectorAll('.box')].every((each) => each.scrollWidth <= each.clientWidth)"
    )
    assert page.pdf()[:5] == b"%PDF-"


CONTRASTS = """() => {
  const channels = (color) => color.match(/[0-9.]+/g).map(Number);
  const light = (color) => channels(color).slice(0, 3)
    .map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const told = [...document.querySelectorAll('h1, h2, h3, p, dt, dd, th, td, li, summary, a, text, .badge')];
  const seen = told.filter((each) => each.textContent.trim() && each.getClientRects().length);
  return Math.min(...seen.map((each) => {
    const style = getComputedStyle(each);
    const [a, b] = [light(each.tagName === 'text' ? style.fill : style.color), light(ground(each))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
}"""
