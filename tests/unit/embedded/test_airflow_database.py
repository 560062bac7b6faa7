"""What Airflow of the embedded platform is told: its users, and who waits how long for whom."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from embedded import airflow
from embedded.private import Secrets
from embedded.settings import EmbeddedSettings
from tasks.settings import PROJECT


def connections(home: Path, **settings: object) -> dict[str, str]:
    """What each program is told to connect to."""
    chosen = EmbeddedSettings(home=home, **settings)
    variables = airflow.variables(chosen, PROJECT, 20_000, Secrets.of(home))
    made = airflow.programs(chosen, variables)
    return {program.name: program.environment[airflow.CONNECTION] for program in made}


def test_only_the_api_server_gives_up_soon_for_there_two_requests_may_wait_for_each_other(
    tmp_path: Path,
) -> None:
    patience = {name: url.rpartition("=")[-1] for name, url in connections(tmp_path).items()}
    assert patience.pop("airflow-api-server") == "15"
    assert set(patience.values()) == {"120"}


def test_users_beside_admin_get_a_password_once_and_lose_it_with_their_line(tmp_path: Path) -> None:
    def passwords(users: str) -> dict[str, str]:
        chosen = EmbeddedSettings(home=tmp_path, airflow_users=users)
        airflow.prepare(chosen, Secrets.of(tmp_path))
        named = airflow.variables(chosen, PROJECT, 20_000, Secrets.of(tmp_path))
        assert named["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == ",".join(
            ["admin:admin", *filter(None, [users])]
        )
        read: dict[str, str] = json.loads((tmp_path / "airflow" / "passwords.json").read_text())
        return read

    first = passwords("vera:viewer,otto:op")
    assert set(first) == {"admin", "vera", "otto"}
    assert len(set(first.values())) == 3
    assert passwords("vera:viewer") == {name: first[name] for name in ("admin", "vera")}
    assert passwords("") == {"admin": first["admin"]}


@pytest.mark.parametrize("users", ["vera", "vera:boss", ":viewer", "a b:viewer", "admin:viewer"])
def test_a_user_without_a_name_or_a_role_is_told(users: str) -> None:
    with pytest.raises(
        ValidationError, match=r"is no user: write name:role, where the role is one of viewer, user"
    ):
        EmbeddedSettings(airflow_users=users)


def test_a_task_waits_longer_for_an_answer_than_the_api_server_waits_for_the_database(tmp_path: Path) -> None:
    variables = airflow.variables(EmbeddedSettings(home=tmp_path), PROJECT, 20_000, Secrets.of(tmp_path))
    patience = float(variables["AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT"])
    assert patience > airflow.API_BUSY_SECONDS, "or it asks again while its first request still waits"
    assert patience < float(variables["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"]), "or it is dead"


def test_another_database_is_connected_to_as_its_url_says(tmp_path: Path) -> None:
    url = "postgresql+psycopg2://airflow@db/airflow?connect_timeout=120"
    found = connections(tmp_path, airflow_options={"database": {"sql_alchemy_conn": url}})
    assert {name: each for name, each in found.items() if name in airflow.COMPONENTS} == dict.fromkeys(
        airflow.COMPONENTS, url
    )
