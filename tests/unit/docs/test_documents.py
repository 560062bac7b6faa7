"""Every block of the documents is run, or says why not; and what they name is there."""

import json
import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.app import load_words
from embedded.variables import KNOWN
from tasks.spec import PipelineSpec
from tests.conftest import PROJECT
from tests.documents import IN_CI, MADE, PAGES, Block, blocks, inline_code, tokens

LANGUAGES = {"bash", "yaml", "json", "python", "ini", "text"}
LABELS = {"pipeline.yaml", "docker-compose.override.yaml"}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
ANCHOR = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
TARGET = re.compile(r"(?:^|[;&|(] *|\$\(|\bsudo )make(?: -s)? ([a-z][a-z-]*)", re.MULTILINE)
OURS = re.compile(
    r"^(?:tests|tasks|plugins|containers|docs|dags|demo|benchmarks|embedded|models|great_expectations)/"
)
IMPORT = re.compile(r"^from (tasks[\w.]*) import", re.MULTILINE)
FILE = re.compile(r"(?<![\w/.$}-])((?:containers|models|benchmarks)/[\w./-]+\.(?:py|sh|yaml|in))\b")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [PROJECT / name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


@pytest.fixture(scope="module")
def names() -> set[str]:
    """Every variable that a program, a test or a configuration names; of ours those that something reads."""
    found: set[str] = set()
    for file in tracked():
        if file.suffix in {".md", ".txt", ".gz", ".svg", ".png"}:
            continue
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", text))
    return {name for name in found if not name.startswith("PERENNIAL_")} | KNOWN


@pytest.fixture(scope="module")
def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.fixture(scope="module")
def words() -> set[str]:
    return set(typer.main.get_command(load_words()).commands)  # type: ignore[attr-defined]


# --- blocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_a_block_says_what_it_is_and_a_command_that_is_not_run_says_why(block: Block) -> None:
    assert block.language in LANGUAGES, f"Open the block with one of {sorted(LANGUAGES)}: tests/documents.py."
    if block.language == "bash" and block.label:
        assert block.not_run_because, "Say why it is not run: ```bash no-run: reason"
    else:
        assert block.label in {"", *LABELS} or (block.language, block.label[:9]) == ("json", "event of ")


@pytest.mark.parametrize("command", IN_CI)
def test_ci_runs_what_is_not_run_here(command: str) -> None:
    assert any(block.text.strip() == command for block in blocks("bash"))
    steps = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(rf"^[^#\n]*{command}\b", steps, re.MULTILINE), f".ci/run does not run `{command}`"


@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_commands_are_a_shells_and_name_targets_files_and_modules_that_are_there(
    block: Block, targets: set[str]
) -> None:
    read = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    assert set(TARGET.findall(block.text)) <= targets
    named = [name for name in FILE.findall(block.text) if MADE not in name]
    assert [name for name in named if not (PROJECT / name).exists()] == []
    assert [name for name in IMPORT.findall(block.text) if not find_spec(name)] == []


@pytest.mark.parametrize("block", [one for one in blocks("yaml", "json", "python") if not one.label], ids=str)
def test_an_excerpt_is_what_a_file_says(block: Block) -> None:
    files = [
        *tracked("models/*.yaml", "models/*MLproject", "models/*.py"),
        *tracked("great_expectations/*.json"),
        *tracked("tests/dags/examples/*.py"),
    ]
    assert any(block.text in file.read_text(encoding="utf-8") for file in files), (
        f"No file holds:\n{block.text}"
    )


@pytest.mark.parametrize("block", [one for one in blocks("yaml") if one.label == "pipeline.yaml"], ids=str)
def test_a_part_of_a_pipeline_yaml_is_one_that_a_model_may_have(block: Block) -> None:
    shipped = (PROJECT / "models" / "review_sentiment" / "pipeline.yaml").read_text(encoding="utf-8")
    fields: dict[str, Any] = yaml.safe_load(shipped)
    for section, values in yaml.safe_load(block.text).items():
        fields[section] = {**fields.get(section, {}), **values}
    PipelineSpec.model_validate(fields)


@pytest.mark.parametrize("block", [one for one in blocks("yaml") if one.label.startswith("docker")], ids=str)
def test_an_override_changes_services_by_what_they_know(block: Block, names: set[str]) -> None:
    composed = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    for name, changes in yaml.safe_load(block.text)["services"].items():
        assert name in composed["services"]
        assert set(changes.get("environment", {})) <= names
        assert set(changes.get("networks", ())) <= set(composed["networks"])


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_a_setting_is_one_that_something_reads(block: Block, names: set[str]) -> None:
    settings = dict(line.split("=", 1) for line in block.text.splitlines() if line.strip())
    unknown = {name for name in settings if name not in names and not _is_an_option_of_edge(name)}
    assert {name for name in unknown if not name.startswith("AIRFLOW_CONN_")} == set()
    for value in settings.values():
        if value.startswith(("[", "{")):
            json.loads(value)


def _is_an_option_of_edge(name: str) -> bool:
    """Whether it is an option of Airflow's section `edge`, as benchmarks/edge_worker.py sets it."""
    section, _, option = name.removeprefix("AIRFLOW__").lower().partition("__")
    tried = (PROJECT / "benchmarks" / "edge_worker.py").read_text(encoding="utf-8")
    return section == "edge" and f'"{option}"' in tried


# --- sentences ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_every_file_that_a_page_names_is_there(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    files = [
        code for code in inline_code(page) if OURS.match(code) and not re.search(rf"[<*\s]|{MADE}", code)
    ]
    assert [name for name in files if not (PROJECT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_heading_that_a_link_leads_to_is_there(page: Path) -> None:
    links = [link for link in ANCHOR.findall(page.read_text(encoding="utf-8")) if "://" not in link[0]]
    pages = [(page.parent / name if name else page, anchor) for name, anchor in links]
    assert [
        (file.name, anchor)
        for file, anchor in pages
        if file.suffix == ".md" and anchor not in set(anchors(file))
    ] == []


def anchors(page: Path) -> Iterator[str]:
    """What GitHub calls the headings of a page: lower-case, without punctuation, hyphens for spaces."""
    parts = tokens(page)
    for opened, heading in pairwise(parts):
        if opened.type == "heading_open":
            text = "".join(
                child.content for child in heading.children or () if child.type in {"text", "code_inline"}
            )
            yield re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_is_there(page: Path, targets: set[str]) -> None:
    named = {name for code in inline_code(page) for name in re.findall(r"^make(?: -s)? ([a-z-]+)", code)}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_word_of_the_command_that_a_page_names_is_one(page: Path, words: set[str]) -> None:
    named = {name for code in inline_code(page) for name in re.findall(r"^perennial ([a-z][a-z_-]*)", code)}
    assert named <= words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_of_ours_that_a_page_names_is_read_by_something(page: Path, names: set[str]) -> None:
    named = {name for code in inline_code(page) for name in re.findall(r"\bPERENNIAL_[A-Z_]+\b", code)}
    assert named <= names
