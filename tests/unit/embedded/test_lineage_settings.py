"""Where the events of OpenLineage go is one setting, on one machine and in containers alike."""

import json
from pathlib import Path

import pytest

from embedded import airflow, services
from embedded.private import Secrets
from embedded.settings import EmbeddedSettings
from tasks.errors import InvalidSettings
from tasks.settings import PROJECT
from tasks.variables import read

TRANSPORT = "AIRFLOW__OPENLINEAGE__TRANSPORT"


def variables(home: Path) -> dict[str, str]:
    """Airflow's, of the section `openlineage`."""
    all_of_them = airflow.variables(read(EmbeddedSettings, home=home), PROJECT, 8080, Secrets())
    return {name: value for name, value in all_of_them.items() if "__OPENLINEAGE__" in name}


def test_without_the_setting_airflow_imports_none_of_it(tmp_path: Path) -> None:
    assert variables(tmp_path) == {"AIRFLOW__OPENLINEAGE__DISABLED": "True"}


def test_a_collector_is_asked_once_and_for_two_seconds_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_OPENLINEAGE_URL", "https://marquez.example:5000/base")
    monkeypatch.setenv("PERENNIAL_OPENLINEAGE_KEY", "a-bearer-token")

    assert json.loads(variables(tmp_path)[TRANSPORT]) == {
        "type": "http",
        "url": "https://marquez.example:5000/base/",
        "timeout": 2,
        "retry": {"total": 0, "connect": 0, "read": 0},
        "auth": {"type": "api_key", "apiKey": "a-bearer-token"},
    }
    assert "PERENNIAL_OPENLINEAGE_KEY" not in services.clean_environment()


@pytest.mark.parametrize(
    "url",
    [
        "marquez:5000",
        "ftp://marquez/",
        "http://",
        "http://host:99999/",
        "https://host/?key=1",
        "file://lineage.jsonl",
        "file:///var/lineage/",
        "/var/lineage.jsonl",
    ],
)
def test_a_wrong_setting_is_named_with_what_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PERENNIAL_OPENLINEAGE_URL", url)
    with pytest.raises(
        InvalidSettings,
        match=r"^PERENNIAL_OPENLINEAGE_URL \(from the environment\) is no place .*file:///folder/lineage.jsonl",
    ):
        variables(tmp_path)


def test_a_login_in_the_address_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_OPENLINEAGE_URL", "https://ada:secret@marquez.example/")
    with pytest.raises(InvalidSettings, match=r"has a login in it.*PERENNIAL_OPENLINEAGE_KEY") as refused:
        variables(tmp_path)
    assert "secret" not in str(refused.value)
