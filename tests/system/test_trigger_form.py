"""Airflow's Trigger button, as a person uses it: a real
browser, the login, the form, and what it asks for.
"""

from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from demo.airflow import Airflow
from embedded.platform import Platform
from tests.system.browsing import NEEDS_BROWSER, page
from tests.system.conftest import wait_until
from tests.system.loop import REGRESSION, Loop

__all__ = ["page"]

DAG = f"train_{REGRESSION}"

pytestmark = NEEDS_BROWSER


@pytest.mark.timeout(400)
def test_the_trigger_button_shows_the_projects_parameters_and_starts_what_was_asked_for(
    inside: Platform, airflow: Airflow, page: Page, loop: Loop
) -> None:
    before = {run["dag_run_id"] for run in airflow.runs(DAG)}
    page.goto(f"{inside.addresses.airflow}/dags/{DAG}")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    # The form opens its first section by itself, and one section at a time.
    dialog.locator("[name=element_reason]").fill("pressed by hand")
    dialog.get_by_role("button", name=f"Parameters of {REGRESSION}").click()
    epochs = dialog.locator("[name=element_epochs]")
    expect(epochs).to_be_visible()
    epochs.fill("2")
    dialog.get_by_role("button", name="Trigger").click()

    def asked_for() -> str | None:
        asked = (run for run in airflow.runs(DAG) if run["dag_run_id"] not in before)
        manual = (run for run in asked if run["run_type"] == "manual")
        return next((str(run["dag_run_id"]) for run in manual), None)

    run_id = wait_until(asked_for, "the run that the button asked for", timeout_seconds=60)
    conf = airflow.run(DAG, run_id)["conf"]
    # What is asked for reaches the training: tests/dags/test_train_dag.py shows it.
    airflow.call("PATCH", f"/dags/{DAG}/dagRuns/{quote(run_id, safe='')}", json={"state": "failed"})
    assert (conf["reason"], conf["epochs"]) == ("pressed by hand", 2)
