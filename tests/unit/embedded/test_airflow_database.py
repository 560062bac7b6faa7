"""Who waits how long for Airflow's SQLite while somebody else writes to it."""

from pathlib import Path

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
