"""`make screenshots`: take the pictures of README and docs/ from the platform that runs, beside `make demo`.

Each shows what somebody sees who is logged in, in a real browser: no picture is of a page that once was.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, sync_playwright

from cli.airflow import log_in
from tasks.errors import PerennialError
from tasks.settings import PROJECT

MODEL = "review_sentiment"
FOLDER = PROJECT / "docs" / "images"
SCREEN, PHONE = (1200, 800), (390, 800)
"""Width and height, in pixels."""

PATIENCE_MS = 30_000
COOKIE = "_token"
"""By which Airflow's pages know who asks."""


class NoPicture(PerennialError):
    """A picture cannot be taken: nothing runs, or a page is not what it should be."""


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: Of its file.
        of: The page it is of, as `perennial open` names it.
        path: Below that page's address; from the root of its host where it begins with a slash.
        shows: A selector of what has to stand there.
        press: What is pressed first, a selector; empty for nothing.
    """

    name: str
    of: str
    path: str
    shows: str
    press: str = ""
    screen: tuple[int, int] = SCREEN
    is_dark: bool = False


SERVES = f"[data-model={MODEL}] .serves .figure"
PICTURES = (
    Picture("models", "Models", "", SERVES),
    Picture("models-phone", "Models", "", SERVES, screen=PHONE, is_dark=True),
    Picture("model", "Models", MODEL, ".timeline li"),
    Picture("decision", "Models", MODEL, "main svg", press=".facts-box p:has(strong) a >> nth=0"),
    Picture("user-page", "models", f"/v1/models/{MODEL}/page", "#words *", press="#example, #submit"),
)


def pages_of(asked: Mapping[str, Any]) -> dict[str, tuple[str, str | None, str | None]]:
    """Where each page is, with user and password, of what `perennial open --secrets --json` says."""
    return {each["page"]: (each["address"], each["user"], each["password"]) for each in asked["pages"]}


def take(pictures: tuple[Picture, ...], asked: Mapping[str, Any], folder: Path, chromium: str) -> list[Path]:
    """Take pictures of what a platform shows now.

    Args:
        asked: What `perennial open --secrets --json` says of it.
        folder: Where they go, a PNG file each; what is there is replaced.
        chromium: The browser.

    Raises:
        NoPicture: A page does not show what it should.
        LoginRefused: Airflow does not know the user.
    """
    pages = pages_of(asked)
    address, user, password = pages["Airflow"]
    cookie = log_in(address, user or "", password or "")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            return [_taken(browser, each, pages[each.of][0], cookie, folder) for each in pictures]
        finally:
            browser.close()


def _taken(browser: Browser, picture: Picture, address: str, cookie: str, folder: Path) -> Path:
    file = folder / f"{picture.name}.png"
    with browser.new_context(
        viewport={"width": picture.screen[0], "height": picture.screen[1]},
        color_scheme="dark" if picture.is_dark else "light",
        ignore_https_errors=True,  # the platform in containers makes a certificate of its own
    ) as context:
        context.set_default_timeout(PATIENCE_MS)
        if picture.of == "Models":
            context.add_cookies([{"name": COOKIE, "value": cookie, "url": address}])
        page = context.new_page()
        url = urljoin(address, picture.path)
        answer = page.goto(url)
        if answer is None or not answer.ok:
            said = "nothing" if answer is None else f"HTTP {answer.status}"
            raise NoPicture(f"{url} answers {said}, so there is no picture {picture.name!r}.")
        _shown(page, picture)
        page.screenshot(path=file)
    return file


def _shown(page: Page, picture: Picture) -> None:
    for button in filter(None, picture.press.split(", ")):
        page.locator(button).click()
    found = page.locator(picture.shows).first
    found.wait_for(state="visible")
    if picture.press:
        found.scroll_into_view_if_needed()


def main() -> int:
    """Take them all; the exit code."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("No Chromium on this machine: apt-get install chromium", file=sys.stderr)
        return 1
    asked = subprocess.run(
        [PROJECT / "perennial", "open", "--secrets", "--json"],
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if asked.returncode:
        print("Pictures are of a platform that runs: make demo, and this when it is told.", file=sys.stderr)
        return 1
    try:
        for file in take(PICTURES, json.loads(asked.stdout), FOLDER, chromium):
            print(f"{file.relative_to(PROJECT)}: {file.stat().st_size // 1024} KiB")
    except PerennialError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
