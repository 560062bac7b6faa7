"""What the tests of the profile `monitoring` read: its rules, its dashboards, and the names in a query."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT

FOLDER = PROJECT / "containers" / "compose" / "observability"
RULES = sorted((FOLDER / "rules").glob("*.yaml"))
CASES = sorted((FOLDER / "tests").glob("*.yaml"))
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))

TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
BESIDE = re.compile(
    r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", re.ASCII
)
WORD = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
KEYWORDS = {
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "sum",
    "max",
    "min",
    "avg",
    "count",
    "by",
    "on",
    "group_left",
}


def rules() -> Iterator[dict[str, Any]]:
    """Each rule of every file, recordings and alerts."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def alerts() -> list[str]:
    return [rule["alert"] for rule in rules() if "alert" in rule]


def cases() -> Iterator[dict[str, Any]]:
    """Each case of promtool's, with the file that it is in."""
    for file in CASES:
        for case in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            yield case | {"file": file}


def dashboard(file: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return read


def queries(file: Path) -> list[str]:
    """Every query of a dashboard, as Prometheus is asked it for one model."""
    board = dashboard(file)
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    found += [each["expr"] for each in board["annotations"]["list"]]
    return [query.replace("$model", "m") for query in found]


def names_in(query: str) -> set[str]:
    """The metrics that a query names."""
    bare = BESIDE.sub(" ", TEXT.sub('""', query))
    return {word for word in WORD.findall(bare) if word not in KEYWORDS}


def promtool(*arguments: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed here (Debian's package prometheus)")
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd, timeout=250
    )
