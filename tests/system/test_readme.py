"""Every block of commands in README.md and docs/ is run,
and every excerpt in them is what the named files say.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from demo.airflow import Airflow
from embedded.platform import Platform
from tasks.settings import PROJECT
from tests.system.conftest import wait_for_rows, wait_until

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)\)")
IN_CI = ["make demo", "make test", "make lint"]
"""Blocks that CI runs instead: they hold this test, or are its like."""


@dataclass(frozen=True)
class Block:
    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text.splitlines()[0][:40]}"


def blocks(*languages: str) -> list[Block]:
    found = [
        Block(page, *match) for page in PAGES for match in BLOCK.findall(page.read_text(encoding="utf-8"))
    ]
    return [block for block in found if block.language in languages]


COMMANDS = [block for block in blocks("bash") if block.text.strip() not in IN_CI]


@pytest.mark.parametrize("command", IN_CI)
def test_ci_runs_what_is_not_run_here(command: str) -> None:
    assert any(block.text.strip() == command for block in blocks("bash"))
    steps = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(rf"^[^#\n]*{command}\b", steps, re.MULTILINE), f".ci/run does not run `{command}`"


@pytest.mark.parametrize("block", blocks("yaml", "json", "python"), ids=str)
def test_an_excerpt_is_what_a_file_says(block: Block) -> None:
    files = [
        file for suffix in ("*.yaml", "MLproject", "*.py") for file in (PROJECT / "models").rglob(suffix)
    ]
    files += (PROJECT / "great_expectations").rglob("*.json")
    assert any(block.text in file.read_text(encoding="utf-8") for file in files), (
        f"No file holds:\n{block.text}"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.platform
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    shutil.which("curl") is None, reason="the README calls the gateway with curl, which is not installed"
)
def test_the_commands_of_the_readme_do_what_it_says(inside: Platform, airflow: Airflow) -> None:
    for block in (block for block in COMMANDS if block.page.name == "README.md"):
        output = run(block.text, inside)
        if "example_data.py" in block.text:
            wait_for_rows("reviews", 3_900, timeout_seconds=120)
        if "dags trigger" in block.text:
            wait_until_it_serves(inside, airflow)
        if "/predict" in block.text:
            assert '"prediction":1' in output.replace(" ", "")


@pytest.mark.platform
@pytest.mark.parametrize("block", [block for block in COMMANDS if block.page.name != "README.md"], ids=str)
def test_the_commands_of_the_docs_run(block: Block, platform: Platform) -> None:
    output = run(block.text, platform)
    if "broken_entries" in block.text:
        assert "broken entries: []" in output


def run(commands: str, platform: Platform) -> str:
    """Run a block as a reader would: in the project's folder,
    in a shell that `make -s env` has pointed to the platform.
    """
    environment = {**platform.environment(), "PERENNIAL_HOME": str(platform.home)}
    script = f'eval "$(make -s env)"\n{commands}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
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
    (asked,) = (run for run in airflow.runs(dag_id) if run["run_type"] == "manual")
    assert asked["conf"] == {"epochs": 6, "reason": "a first try"}
    served = f"{platform.addresses.gateway}/v1/models/review_sentiment"
    wait_until(lambda: requests.get(served, timeout=10).ok, "a version", timeout_seconds=400, pause_seconds=1)
    for run in airflow.runs(dag_id):
        if run["state"] not in {"success", "failed"}:
            airflow.call(
                "PATCH",
                f"/dags/{dag_id}/dagRuns/{quote(run['dag_run_id'], safe='')}",
                json={"state": "failed"},
            )
