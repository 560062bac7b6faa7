"""Google's credentials from Airflow's connection to every client
of the store, by Google's own client libraries.

There is no Google here: objects, tokens and impersonation are served by an emulator (`gcs.py`), which lets
only the right account's token pass. Nothing of our own is replaced.
"""

# ruff: noqa: F811 - fixtures are imported by their names

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.runners.connections import reach_store
from plugins.triggers.landing import LandingTrigger
from tasks.errors import InvalidProject
from tasks.settings import PROJECT, settings
from tasks.stores import files
from tasks.stores.faults import explain
from tasks.stores.google import HANDED, OVERRULED
from tests.services.guarded import (  # noqa: F401 - fixtures
    LAKE,
    OWNER,
    Key,
    connect,
    guarded,
    key,
    place,
    private_key,
)
from tests.services.object_stores import ObjectStore, forget, point_to


def impersonated(key: Key, server: ObjectStore) -> Key:
    url = f"{server.url}/v1/projects/-/serviceAccounts/{LAKE}:generateAccessToken"
    return {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": url,
        "delegates": [],
        "source_credentials": key,
    }


# --- the worker ---------------------------------------------------------------------------------------------


def test_without_the_right_account_the_store_refuses(place: str) -> None:
    with pytest.raises(Exception, match="Unauthorized") as refused:
        files.write_text(place, "a.txt", text="a")
    assert "Correct Airflow's connection google_cloud_default" in str(explain(refused.value))


@pytest.mark.parametrize(
    "way", ["keyfile_dict", "keyfile_dict as text", "key_path", "the environment's file"]
)
def test_a_key_is_the_worker_s_and_handed_to_the_step(
    place: str, key: Key, home: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    file = home / "key.json"
    file.write_text(json.dumps(key))
    ways: dict[str, dict[str, Any]] = {
        "keyfile_dict": {"keyfile_dict": key},
        "keyfile_dict as text": {"extra__google_cloud_platform__keyfile_dict": json.dumps(key)},
        "key_path": {"key_path": str(file)},
    }
    connect(monkeypatch, **ways.get(way, {}))
    if way not in ways:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    reach_store()

    files.write_text(place, "a.txt", text="by the worker")
    assert files.at(place, "a.txt").read_text() == "by the worker"
    assert json.loads(os.environ[HANDED]) == key
    assert os.environ["GOOGLE_CLOUD_PROJECT"] == "our-project"


def test_an_account_is_impersonated_by_the_worker_and_its_step(
    place: str,
    key: Key,
    guarded: dict[str, ObjectStore],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point_to(guarded[LAKE], place, home, monkeypatch)
    address = f"{guarded[LAKE].url}/v1/projects/-/serviceAccounts/{{}}:generateAccessToken"
    monkeypatch.setattr("google.auth.iam._IAM_ENDPOINT", address)
    connect(monkeypatch, keyfile_dict=key, impersonation_chain=f"middle@p.example,{LAKE}")

    reach_store()

    files.write_text(place, "a.txt", text="as another")
    handed = json.loads(os.environ[HANDED])
    assert (handed["source_credentials"], handed["delegates"]) == (key, ["middle@p.example"])
    assert handed["service_account_impersonation_url"] == (
        f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{LAKE}:generateAccessToken"
    )


def test_credentials_that_cannot_be_written_down_are_handed_over_as_a_token(
    place: str, key: Key, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another cloud's identity is such a one; here it is a file that only Google's library can read."""
    file = home / "any.json"
    file.write_text(json.dumps(key))
    connect(monkeypatch, credential_config_file=str(file))

    reach_store()

    assert json.loads(os.environ[HANDED])["access_token"] == f"token-of-{OWNER}"


def test_a_pod_is_handed_nothing(place: str, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, keyfile_dict=key)
    monkeypatch.setenv("PERENNIAL_RUNNER", "kubernetes")
    settings.cache_clear()

    reach_store()

    assert HANDED not in os.environ
    files.write_text(place, "a.txt", text="by the worker all the same")


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"keyfile_dict": "{not JSON"}, "Invalid key JSON"),
        ({"key_path": "/nowhere/key.json"}, "No such file"),
        ({"key_path": "/nowhere/key.json", "keyfile_dict": {"private_key": ""}}, "mutually exclusive"),
    ],
)
def test_a_connection_that_says_nothing_sensible_is_named_in_a_sentence(
    place: str, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], said: str
) -> None:
    connect(monkeypatch, **extra)
    with pytest.raises(InvalidProject, match=f"'google_cloud_default' does not lead to Google.*{said}"):
        reach_store()


# --- the step -----------------------------------------------------------------------------------------------

STEP = """
import os, subprocess, sys
from tasks.stores import google
google.sign_in()
import pyarrow as pa
from tasks.settings import settings
from tasks.stores import files
from tasks.stores.lake import Lake
files.write_text(settings().runs, "a.txt", text="by the step")
Lake().append("events", pa.table({"id": ["a"]}), batch_id="a")
print(Lake().read("events").column("id").to_pylist(), files.at(settings().runs, "a.txt").read_text())
print([name for name in os.environ if "CREDENTIALS" in name or name.endswith("_KEY")])
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""
CHILD = """
import google.auth
from google.auth.transport.requests import Request
credentials, project = google.auth.default()
credentials.refresh(Request())
print(credentials.token, project)
"""


@pytest.mark.parametrize("account", [OWNER, LAKE])
def test_a_step_reaches_files_and_lake_by_what_it_was_handed_and_so_do_its_children(
    place: str,
    key: Key,
    guarded: dict[str, ObjectStore],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    account: str,
) -> None:
    point_to(guarded[account], place, home, monkeypatch)
    handed = key if account == OWNER else impersonated(key, guarded[LAKE])
    useless = dict.fromkeys(OVERRULED, "/of/another/machine.json")
    environment = {**os.environ, **useless, HANDED: json.dumps(handed), "GOOGLE_CLOUD_PROJECT": "our-project"}

    done = subprocess.run(
        [sys.executable, "-c", STEP, CHILD],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == ["['a'] by the step", "[]", f"token-of-{account} our-project"], (
        done.stderr
    )


# --- the other processes of Airflow -------------------------------------------------------------------------


def test_the_trigger_of_a_bucket_goes_by_the_connection(
    place: str, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = LandingTrigger(f"{place}/landing/reviews")
    assert trigger.look({}) == {}
    assert trigger.unreadable

    connect(monkeypatch, keyfile_dict=key)
    reach_store()
    files.write_text(place, "landing/reviews/a.csv", text="x")
    forget()

    assert list(trigger.look({})) == ["a.csv"]
    assert not trigger.unreadable
