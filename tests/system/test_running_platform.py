"""The running platform: killed services come back, a second
start is told, nothing is open to others, a shell reaches it.
"""

import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
import requests

from demo.airflow import Airflow
from embedded.errors import AlreadyRunning
from embedded.platform import SERVICES, Platform
from tasks.settings import CLONE, PROJECT
from tests.system.conftest import SMALL, embedded, wait_until

pytestmark = pytest.mark.platform


def test_every_service_that_is_killed_comes_back_and_leaves_no_orphan(platform: Platform) -> None:
    before = platform.processes()
    assert set(before) == set(SERVICES)
    children = [child for pid in before.values() for child in psutil.Process(pid).children(recursive=True)]
    for name in SERVICES:
        platform.kill(name)
    platform.wait_until_healthy()
    after = platform.processes()
    assert {name for name in SERVICES if after[name] == before[name]} == set()
    assert [child for child in children if child.is_running()] == []


def test_a_second_start_says_where_the_first_runs(platform: Platform) -> None:
    with pytest.raises(AlreadyRunning, match=f"already running: Airflow {platform.addresses.airflow}"):
        Platform(platform.home, **SMALL).start()
    up = embedded(platform.home, "up")
    assert platform.addresses.gateway in up.communicate(timeout=30)[0]
    assert up.returncode == 0
    assert set(platform.processes()) == set(SERVICES)


def listened_on(process: psutil.Process) -> list[str]:
    """The addresses that a process listens on; none of one that has ended since it was listed."""
    try:
        connections = process.net_connections("inet")
    except psutil.NoSuchProcess:
        return []
    return [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN]


def test_nothing_listens_beyond_loopback(platform: Platform) -> None:
    guardian = platform.guardian
    assert guardian
    listening = [
        address
        for process in psutil.Process(guardian).children(recursive=True)
        for address in listened_on(process)
    ]
    assert len(listening) >= len(SERVICES) - 4
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_secrets_are_for_this_user_only(platform: Platform) -> None:
    private = [platform.home / "secrets.json", *(platform.home / "supervisor").glob("*.json")]
    assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}
    assert (platform.home / "supervisor").stat().st_mode & 0o077 == 0


def test_mlflow_lets_in_whom_status_names_and_a_shell_that_was_pointed_to_it(platform: Platform) -> None:
    login = platform.mlflow_credentials
    status = embedded(platform.home, "status").communicate(timeout=60)[0]
    assert f"{platform.addresses.mlflow}   user {login.username}, password {login.password}" in status
    assert requests.get(platform.addresses.mlflow, timeout=30).status_code == 401
    page = requests.get(platform.addresses.mlflow, auth=(login.username, login.password), timeout=30)
    assert "<title>MLflow</title>" in page.text
    search = "import mlflow; print('found', len(mlflow.search_experiments()))"
    done = subprocess.run(
        [str(platform.settings.python("ml")), "-c", search],
        env=platform.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "found" in done.stdout


def test_an_airflow_command_from_a_shell_reaches_the_platform(platform: Platform, airflow: Airflow) -> None:
    airflow.wait_for_dags(["train_review_sentiment"], timeout_seconds=120)
    listed = embedded(platform.home, "run", "airflow", "dags", "list", "--output=plain")
    said = listed.communicate(timeout=60)[0]
    assert listed.returncode == 0, said
    assert "train_review_sentiment" in said


@pytest.fixture
def another_clone(tmp_path: Path) -> Path:
    """The sources in another folder; its environments are this clone's."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True, text=True
    )
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (PROJECT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, tmp_path / name)
    return tmp_path


def test_another_clone_neither_reports_nor_touches_the_platform_even_in_a_shell_that_points_to_it(
    platform: Platform, another_clone: Path
) -> None:
    def say(*arguments: str, **variables: str) -> str:
        command = [str(platform.settings.python("control")), "-m", "embedded", *arguments]
        done = subprocess.run(
            command,
            cwd=another_clone,
            env={**platform.environment(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout

    for word in ("status", "env"):
        assert say(word).startswith("PlatformError: The platform does not run.")
    assert say("down") == "Nothing was running.\n"
    on_its_state = {CLONE: str(another_clone), "PERENNIAL_HOME": str(platform.home)}
    for word in ("up", "status", "env", "down"):
        assert f"On {platform.home} runs the platform of another clone, {PROJECT}." in say(
            word, **on_its_state
        )
    assert set(platform.processes()) == set(SERVICES)


def test_the_dags_of_every_model_are_on(airflow: Airflow) -> None:
    families = {
        *("ingest", "train", "judge", "release", "drift", "collect", "reproduce", "reconcile"),
        *("rollback", "withdraw", "recall", "label", "decide", "explain"),
        *("close", "silence", "show", "predict"),
    }

    def paused() -> dict[str, bool]:
        return {dag["dag_id"]: dag["is_paused"] for dag in airflow.call("GET", "/dags?limit=100")["dags"]}

    wait_until(  # the DAG processor may have been killed just now
        lambda: {dag_id.partition("_")[0] for dag_id in paused()} == families, "the DAGs", timeout_seconds=120
    )
    assert not any(paused().values())


def test_twenty_airflow_commands_at_once_are_all_taken_however_busy_the_database_is(
    platform: Platform, airflow: Airflow
) -> None:
    dag_id = "collect_flight_minutes"  # nothing waits for it: it stays paused, and what was asked for queued
    airflow.wait_for_dags([dag_id], timeout_seconds=120)
    airflow.call("PATCH", f"/dags/{dag_id}", json={"is_paused": True})
    before = {run["dag_run_id"] for run in airflow.runs(dag_id)}
    program, database = (
        Path(__file__).with_name("trigger_at_once.py"),
        platform.home / "airflow" / "airflow.db",
    )
    done = subprocess.run(
        [str(platform.settings.python("control")), str(program), dag_id, "20", str(database)],
        env=platform.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    asked = [run["dag_run_id"] for run in airflow.runs(dag_id) if run["dag_run_id"] not in before]
    assert done.returncode == 0, done.stdout
    assert "is locked" not in done.stdout
    assert len(asked) == 20
