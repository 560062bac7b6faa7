"""What .env says of Airflow's connections reaches Airflow's processes and no other program."""

from pathlib import Path

import pytest

from embedded import airflow, mlflow, services
from embedded.private import Secrets
from embedded.settings import PORTS, EmbeddedSettings

PAGER = '{"conn_type": "http", "host": "https://pager.example.org", "extra": {"Authorization": "Bearer 1"}}'


def test_connections_and_variables_may_stand_in_env_and_the_environment_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BOTH", "http://of-the-environment")
    env_file = tmp_path / ".env"
    env_file.write_text(
        f"AIRFLOW_CONN_PAGER={PAGER}\nAIRFLOW_VAR_TEAM=reviews\nAIRFLOW_CONN_BOTH=http://of-the-file\n"
        "AIRFLOW__CORE__PARALLELISM=1\nPERENNIAL_ALERTS=pager\n"
    )
    found = services.given_to_airflow(env_file)
    assert found == {
        "AIRFLOW_CONN_PAGER": PAGER,
        "AIRFLOW_VAR_TEAM": "reviews",
        "AIRFLOW_CONN_BOTH": "http://of-the-environment",
    }
    assert services.given_to_airflow(tmp_path / "none") == {"AIRFLOW_CONN_BOTH": "http://of-the-environment"}


def test_no_program_but_airflow_s_is_told_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PAGER", PAGER)
    monkeypatch.setenv("PERENNIAL_HEARTBEAT_URL", "https://beats.example.org/s3cret")
    for program in (airflow, mlflow):
        monkeypatch.setattr(program, "prepare", lambda *_: None)
    monkeypatch.setattr(services, "migrations", lambda _: [])
    made = services.programs(EmbeddedSettings(home=tmp_path), dict.fromkeys(PORTS, 1), Secrets())
    told = {each.name for each in made if PAGER in each.environment.values()}
    assert told
    assert all(name.startswith("airflow") for name in told - {"loop-watch"})
    assert "loop-watch" in told, "it sends by the same channels"
    assert told == {each.name for each in made if "PERENNIAL_HEARTBEAT_URL" in each.environment}
    assert {"torchserve", "gateway"} <= {each.name for each in made} - told
