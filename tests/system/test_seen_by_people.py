"""What the Models pages say of the running platform, in a real browser: held against the gateway, MLflow's
registry and the ledger, before and after a person rolls back by the page's button.

After the releases, which leave a model that two versions of have served, one after the other. What is left
by a rollback does not come back, so the earlier version serves from here on.
"""

import re
from typing import Any

import pytest
import requests
import yaml
from playwright.sync_api import FrameLocator, Locator, Page, expect

from demo.airflow import Airflow
from embedded.platform import Platform
from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries
from tasks.overview.evidence import told
from tasks.release.switch import find_previous_route
from tasks.serving.gateway import Gateway
from tasks.stores import registry
from tests.system.browsing import NEEDS_BROWSER, page
from tests.system.conftest import wait_for_success
from tests.system.loop import MULTICLASS as MODEL
from tests.system.loop import REGRESSION, Loop

__all__ = ["page"]

pytestmark = [*NEEDS_BROWSER, pytest.mark.timeout(1500)]

TRAIN = f"train_{MODEL}"
SWITCHES = {Action.DEPLOY, Action.ROLLBACK, Action.WITHDRAW}
WHY = "The pages are tried."
ENDED_MS = 300_000


class Visitor:
    """Somebody who has never seen the product, at Airflow's home, and how often they have clicked."""

    def __init__(self, page: Page, home: str) -> None:
        self.page, self.clicks = page, 0
        page.goto(home)

    def click(self, what: Locator) -> None:
        what.click()
        self.clicks += 1

    @property
    def shown(self) -> FrameLocator:
        """The Models pages, in Airflow's frame."""
        return self.page.frame_locator("iframe[title=Models]")


@pytest.fixture
def versions(inside: Platform, airflow: Airflow, loop: Loop) -> tuple[str, str]:
    """The version that serves, and the one that a rollback leads to. The releases before have left both;
    where this file runs alone, the second is trained, and serves where it is no worse.
    """
    wait_for_success(airflow, TRAIN, loop.first[MODEL])
    if find_previous_route(Gateway().history(MODEL)) is None:
        pipeline = loop.models / MODEL / "pipeline.yaml"
        shipped = pipeline.read_text()
        document = yaml.safe_load(shipped)
        gate = document["gate"] | {"policy": "non_inferiority", "margin": 0.2, "slice_margin": 0.2}
        pipeline.write_text(yaml.safe_dump(document | {"gate": gate}))
        wait_for_success(airflow, TRAIN, loop.train(MODEL, seed=11))
        pipeline.write_text(shipped)
    history = Gateway().history(MODEL)
    serving, before = history[-1].route, find_previous_route(history)
    assert serving is not None
    assert before is not None
    return serving.model_version, before.model_version


def newest(model: str, *actions: Action) -> LedgerEntry:
    [*_, found] = entries.history(model, set(actions))
    return found


def require_all_agree(platform: Platform, version: str) -> dict[str, str]:
    """Hold the gateway's answer, MLflow's alias and the ledger against each other.

    Returns:
        The tags of the version in MLflow's registry.
    """
    served: dict[str, Any] = requests.get(
        f"{platform.addresses.gateway}/v1/models/{MODEL}", timeout=30
    ).json()
    champion, switch = registry.champion(MODEL), newest(MODEL, *SWITCHES)
    assert champion is not None
    assert {served["model_version"], champion.version, switch.after} == {version}
    assert {served["run_id"], switch.evidence["route"]["run_id"]} == {champion.run_id}
    return registry.versions_by_number(MODEL)[version]


def require_card_agrees(card: Locator, tags: dict[str, str]) -> None:
    """Hold a card of the overview against the ledger, and against the registry's version and its run."""
    version, switch = registry.aliased_version(MODEL), newest(MODEL, *SWITCHES)
    serves, score = card.locator(".serves"), card.locator(".score")
    expect(serves.locator(".figure")).to_have_text(f"version {version}")
    expect(serves).to_contain_text(f"since {switch.at:%Y-%m-%d %H:%M} UTC")
    expect(serves).to_contain_text(tags["perennial.why"][:80])
    measured = registry.metrics(switch.evidence["route"]["run_id"])
    for name in ("test_macro_f1", "test_macro_f1_low", "test_macro_f1_high"):
        expect(score).to_contain_text(told(measured[name]))
    expect(card.locator(".traffic")).to_have_text(f"version {version} answers everything")


def test_the_version_that_serves_leads_to_its_own_page_in_mlflow(
    inside: Platform, airflow: Airflow, loop: Loop, page: Page
) -> None:
    wait_for_success(airflow, TRAIN, loop.first[MODEL])
    champion = registry.champion(MODEL)
    assert champion is not None
    page.goto(f"{inside.addresses.airflow}/dags/train_{MODEL}/plugin/model")
    shown = page.frame_locator("iframe[title=Model]")
    row = shown.locator(f".versions [data-version='{champion.version}']")
    expect(row).to_contain_text(champion.run_id[:16])

    row.get_by_role("link", name="in MLflow").click()

    page.wait_for_url(f"{inside.addresses.mlflow}/#/models/{MODEL}/versions/{champion.version}")
    expect(page.get_by_text(f"Version {champion.version}", exact=True).first).to_be_visible()


def test_who_has_never_seen_it_finds_in_two_clicks_what_is_true_and_rolls_back(
    inside: Platform, airflow: Airflow, page: Page, versions: tuple[str, str]
) -> None:
    serving, before = versions
    checked = airflow.trigger(f"drift_{REGRESSION}")
    visitor = Visitor(page, inside.addresses.airflow)

    visitor.click(page.get_by_role("link", name="Models", exact=True))
    card = visitor.shown.locator(f"[data-model={MODEL}]")
    require_card_agrees(card, require_all_agree(inside, serving))
    last = newest(MODEL, *SWITCHES)
    assert visitor.clicks == 1, "what serves, and why it was promoted"

    visitor.click(card.locator("h2 a"))
    rollback = visitor.shown.locator("[data-act=rollback]")
    expect(rollback.locator("summary")).to_have_text("Roll back")
    assert visitor.clicks == 2, "how to roll back"

    rollback.locator("summary").click()
    assert rollback.locator("[name=leaving]").input_value() == serving
    rollback.locator("[name=reason]").fill(WHY)
    rollback.locator("button").click()
    outcome = rollback.locator(".outcome")
    expect(outcome).to_contain_text(re.compile(r"(Done|Failed): "), timeout=ENDED_MS)
    told_there = outcome.inner_text()
    assert re.fullmatch(r"Done: \S+ of rollback_model succeeded\.", told_there), told_there

    switch = newest(MODEL, *SWITCHES)
    assert (switch.action, switch.before, switch.after) == (Action.ROLLBACK, serving, before)
    assert (switch.why, switch.sequence > last.sequence) == (WHY, True)
    assert switch.actor.endswith(f"asked for by {inside.credentials.username}")
    tags = require_all_agree(inside, before)
    visitor.shown.locator("#stale button").click()
    expect(visitor.shown.locator(".serves")).to_have_text(f"version {before}")
    expect(visitor.shown.locator(f".timeline [data-entry='{switch.sequence}']")).to_contain_text(WHY)

    wait_for_success(airflow, f"drift_{REGRESSION}", checked)
    visitor = Visitor(page, inside.addresses.airflow)
    visitor.click(page.get_by_role("link", name="Models", exact=True))
    require_card_agrees(visitor.shown.locator(f"[data-model={MODEL}]"), tags)
    check = newest(REGRESSION, Action.DRIFT)
    said = visitor.shown.locator(f"[data-model={REGRESSION}] .drift")
    expect(said).to_contain_text(check.why[:80])
    assert visitor.clicks == 1, "what the last drift check said"
