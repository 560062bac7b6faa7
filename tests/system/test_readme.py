"""Every block of commands in README.md and docs/ is run on the shared platform, unless it says why not."""

import shutil
import subprocess
from urllib.parse import quote

import pytest
import requests

from demo.airflow import Airflow
from embedded.platform import Platform
from tasks.settings import PROJECT
from tests.documents import MADE, Block, commands
from tests.system.conftest import wait_for_rows, wait_for_run, wait_for_started_run, wait_until


@pytest.mark.platform
@pytest.mark.timeout(1500)
@pytest.mark.skipif(
    shutil.which("curl") is None, reason="the README calls the gateway with curl, which is not installed"
)
def test_the_commands_of_the_readme_do_what_it_says(inside: Platform, airflow: Airflow) -> None:
    for block in (block for block in commands() if block.page.name == "README.md"):
        output = run(block.text, inside)
        if "example_data.py" in block.text:
            wait_for_rows("reviews", 3_900, timeout_seconds=300)
        if "dags trigger" in block.text:
            wait_until_it_serves(inside, airflow)
        if "/predict" in block.text:
            assert '"prediction":1' in output.replace(" ", "")


@pytest.mark.platform
@pytest.mark.timeout(1500)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial calls the gateway with curl")
def test_the_tutorial_leads_to_a_model_that_serves_refuses_a_worse_one_and_is_removed(
    inside: Platform, airflow: Airflow, configuration: dict[str, str]
) -> None:
    dag_id, output = f"train_{MADE}", ""
    for block in (block for block in commands() if block.page.name == "tutorial.md"):
        text = block.text.replace(f" models/{MADE}", f" {configuration['PERENNIAL_MODELS']}/{MADE}")
        text = text.replace("great_expectations/", f"{configuration['PERENNIAL_SUITES']}/")
        output = run(text, inside, **configuration)
        if text.startswith("make model"):
            airflow.wait_for_dags([dag_id], timeout_seconds=300)
            too_early = wait_for_started_run(airflow, dag_id, run_type="scheduled", timeout_seconds=120)
            assert wait_for_run(airflow, dag_id, too_early)["count"] == "skipped"
        if "example_data.py" in text:
            wait_for_rows(MADE, 2_900, timeout_seconds=300)
        if "/predict" in text:
            assert '"prediction":1' in output.replace(" ", "")
        if "my first training" in text:
            assert "The gate says promote." in output
        if "too little on purpose" in text:
            assert "The gate says reject." in output
            served = requests.get(f"{inside.addresses.gateway}/v1/models/{MADE}", timeout=10).json()
            assert served["model_version"] == "1"
    assert "serves no longer" in output


@pytest.mark.platform
@pytest.mark.parametrize(
    "block", [block for block in commands() if block.page.name not in {"README.md", "tutorial.md"}], ids=str
)
def test_the_commands_of_the_docs_run(block: Block, platform: Platform) -> None:
    output = run(block.text, platform)
    if "ledger.verify" in block.text:
        assert "findings: []" in output


def run(commands: str, platform: Platform, **variables: str) -> str:
    """Run a block as a reader would: in the project's folder,
    in a shell that `make -s env` has pointed to the platform.
    """
    environment = {**platform.environment(), "PERENNIAL_HOME": str(platform.home), **variables}
    script = f'eval "$(make -s env)"\n{commands}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, (
        f"{commands}\nended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def wait_until_it_serves(platform: Platform, airflow: Airflow) -> None:
    """A version serves: of a run that the block has started, or one that served before.

    The others need not go on.
    """
    dag_id = "train_review_sentiment"
    asked = {"epochs": 6, "reason": "a first try"}
    assert asked in [run["conf"] for run in airflow.runs(dag_id) if run["run_type"] == "manual"]
    served = f"{platform.addresses.gateway}/v1/models/review_sentiment"
    wait_until(lambda: requests.get(served, timeout=10).ok, "a version", timeout_seconds=900, pause_seconds=1)
    for run in airflow.runs(dag_id):
        if run["state"] not in {"success", "failed"}:
            airflow.call(
                "PATCH",
                f"/dags/{dag_id}/dagRuns/{quote(run['dag_run_id'], safe='')}",
                json={"state": "failed"},
            )
