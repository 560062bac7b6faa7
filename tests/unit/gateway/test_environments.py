"""Several environments behind one port: what is done in one is never seen in another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from perennial_gateway import environments
from perennial_gateway.app import application
from perennial_gateway.environments import records_of, schema_of
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError
from starlette.testclient import TestClient

from tests.unit.gateway.models import Models, serving
from tests.unit.gateway.test_app import ROUTE, STEPS
from tests.unit.gateway.test_settings import settings

POSTGRES = "postgresql+psycopg://gateway:secret@db/gateway"


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as models:
        models.add("1", 1)
        yield models


def of(folder: Path, **more: Any) -> TestClient:
    url = f"sqlite:///{folder / 'gateway.db'}"
    return TestClient(
        application(settings(gateway_database_url=url, release_environments="dev,staging", **more))
    )


@pytest.fixture
def gateway(tmp_path: Path, models: Models) -> Iterator[TestClient]:
    with of(tmp_path, torchserve_inference_url=models.url) as client:
        yield client


def serve(client: TestClient, environment: str, **more: Any) -> None:
    below = f"/{environment}" if environment else ""
    assert client.put(f"{below}/internal/routes/m", json=ROUTE | more, headers=STEPS).status_code == 200


def test_a_route_of_staging_is_none_of_production_or_dev(gateway: TestClient) -> None:
    serve(gateway, "staging", model_version="7")

    assert gateway.get("/staging/v1/models/m").json()["model_version"] == "7"
    assert gateway.get("/dev/v1/models/m").status_code == 404
    assert gateway.get("/v1/models/m").status_code == 404


def test_each_environment_has_its_own_version_history_and_split(gateway: TestClient) -> None:
    serve(gateway, "", model_version="1")
    serve(gateway, "staging", model_version="2", archive_sha256="b" * 64)

    def told(below: str) -> list[str]:
        changes = gateway.get(f"{below}/internal/routes/m/history", headers=STEPS).json()["history"]
        return [each["route"]["model_version"] for each in changes]

    assert (told(""), told("/staging"), told("/dev")) == (["1"], ["2"], [])
    gateway.delete("/staging/internal/routes/m", headers=STEPS)
    assert gateway.get("/v1/models/m").json()["model_version"] == "1"


def test_what_is_predicted_in_staging_never_comes_into_the_log_that_production_learns_from(
    gateway: TestClient,
) -> None:
    for environment in ("", "staging"):
        serve(gateway, environment)
    answer = gateway.post("/staging/v1/models/m/predict", json={"instances": [{"text": "good"}]})
    assert answer.status_code == 200
    label = {"feedback": [{"prediction_id": answer.json()["predictions"][0]["prediction_id"], "label": 1}]}

    assert gateway.post("/v1/models/m/feedback", json=label).status_code == 404
    rows = {
        below: len(gateway.get(f"{below}/v1/models/m/predictions").json()["predictions"])
        for below in ("", "/staging")
    }
    assert rows == {"": 0, "/staging": 1}


def test_the_metrics_name_the_environment_and_production_as_ever(gateway: TestClient) -> None:
    for environment in ("", "staging"):
        serve(gateway, environment, model_version="metered")
    gateway.post("/staging/v1/models/m/predict", json={"instances": [{"text": "good"}]})

    counted = {
        sample.labels["model"]: sample.value
        for family in text_string_to_metric_families(gateway.get("/metrics").text)
        for sample in family.samples
        if sample.name == "perennial_gateway_predictions_total"
        and sample.labels["model_version"] == "metered"
    }
    assert counted == {"m": 0, "staging/m": 1}


def test_internal_addresses_of_an_environment_ask_for_the_token_of_the_steps(gateway: TestClient) -> None:
    assert gateway.put("/staging/internal/routes/m", json=ROUTE).status_code == 401


def test_a_token_that_was_made_lets_its_bearer_into_every_environment(gateway: TestClient) -> None:
    asked = {"name": "shop", "sha256": "ab" * 32, "scopes": ["predict"], "made_by": "ann"}
    made = gateway.post("/staging/internal/tokens", json=asked, headers=STEPS)
    assert made.status_code in {200, 201}, made.text

    listed = [gateway.get(f"{below}/internal/tokens", headers=STEPS).json() for below in ("", "/dev")]
    assert listed[0] == listed[1]
    assert "shop" in str(listed[0])


def test_the_pages_of_an_environment_tell_how_to_reach_it(gateway: TestClient) -> None:
    serve(gateway, "staging")
    page = gateway.get("/staging/").text
    assert "/staging/v1/models/m/predict" in page
    assert 'href="/staging/v1/models/m/docs"' in page
    assert gateway.get("/staging/openapi.json").json()["servers"] == [{"url": "/staging"}]
    assert gateway.get("/staging").status_code == 200


def test_no_environment_can_be_reached_where_none_is_named(tmp_path: Path) -> None:
    with TestClient(application(settings(gateway_database_url=f"sqlite:///{tmp_path / 'g.db'}"))) as alone:
        assert alone.get("/staging/v1/models").status_code == 404


def test_an_environment_with_an_address_of_its_own_does_not_answer_here(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'g.db'}"
    named = settings(gateway_database_url=url, release_environments="dev,staging=http://elsewhere:8000")
    with TestClient(application(named)) as client:
        assert client.get("/dev/v1/models").status_code == 200
        assert client.get("/staging/v1/models").status_code == 404


def test_what_was_routed_is_there_after_a_restart(tmp_path: Path) -> None:
    with of(tmp_path) as before:
        serve(before, "dev", model_version="3")
    with of(tmp_path) as after:
        assert after.get("/dev/v1/models/m").json()["model_version"] == "3"
        assert after.get("/v1/models/m").status_code == 404


@pytest.mark.parametrize(
    "names",
    [
        *["Staging", "1st", "dev,v1", "metrics", "dev,production", "a/b", "champion", "v2"],
        *["public", "dev,gateway", "information_schema", "pg_temp", "healthz", "internal"],
    ],
)
def test_a_name_that_cannot_be_one_is_refused(names: str) -> None:
    with pytest.raises(ValidationError):
        settings(release_environments=names)


def test_production_keeps_its_records_where_they_are_and_others_have_their_own() -> None:
    assert records_of(POSTGRES, "production") == POSTGRES
    assert schema_of(POSTGRES) is None
    assert schema_of(records_of(POSTGRES, "staging")) == "staging"
    assert records_of("sqlite:////srv/gateway.db", "staging") == "sqlite:////srv/gateway-staging.db"


def test_no_environment_has_the_records_of_the_databases_user() -> None:
    """`$user` is the first schema in which PostgreSQL looks for production's tables."""
    with pytest.raises(ValueError, match="is the user of the gateway's database"):
        records_of("postgresql+psycopg://staging:x@db/gateway", "staging")


def test_the_gateway_and_a_models_specification_refuse_the_same_names() -> None:
    from tasks.spec import release

    assert environments.NAME.pattern == release.ENVIRONMENT.pattern
    assert environments.NO_ENVIRONMENT.pattern == release.NO_ENVIRONMENT.pattern
    assert environments.NO_ALIAS.pattern == release.NO_ALIAS.pattern


def test_each_environment_spools_into_a_folder_of_its_own(tmp_path: Path) -> None:
    given = settings(gateway_database_url=POSTGRES, log_spool=tmp_path, release_environments="staging")
    assert [each.spool for each in (given, *given.beside)] == [tmp_path, tmp_path / "staging"]
