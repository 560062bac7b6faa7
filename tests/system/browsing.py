"""A browser that somebody has logged in to the running Airflow with, by its form."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import HttpCredentials, Page, expect, sync_playwright

from embedded.platform import Platform

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NEEDS_BROWSER = [
    pytest.mark.platform,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
]
PATIENCE_MS = 60_000
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
]


@pytest.fixture
def page(platform: Platform) -> Iterator[Page]:
    """A browser that is logged in to Airflow, and that knows what MLflow asks for."""
    login = platform.mlflow_credentials
    mlflow = HttpCredentials(
        username=login.username,
        password=login.password,
        origin=platform.addresses.mlflow,
        send="unauthorized",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *QUIET])
        opened = browser.new_page(viewport={"width": 1400, "height": 1000}, http_credentials=mlflow)
        opened.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        opened.goto(platform.addresses.airflow)
        opened.locator("input[name=username]").fill(platform.credentials.username)
        opened.locator("input[name=password]").fill(platform.credentials.password)
        opened.get_by_role("button", name="Sign in").click()
        opened.wait_for_url(lambda url: "/auth/login" not in url)
        yield opened
        browser.close()
