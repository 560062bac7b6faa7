"""The Models pages while Airflow cannot read DAG files: no model vanishes."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tests.dags.browsing import FRESH, past
from tests.unit.overview.past import Past

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

__all__ = ["past"]


def test_a_model_stays_where_airflow_cannot_read_its_dags_for_a_while(user: "TestClient", past: Past) -> None:
    from airflow.models import DagModel
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session

    ours = DagModel.dag_id == f"train_{FRESH}"
    with create_session() as session:
        file, bundle = session.execute(
            sa.select(DagModel.relative_fileloc, DagModel.bundle_name).where(ours)
        ).one()
        session.execute(sa.update(DagModel).where(ours).values(is_stale=True))
        said = "DagBag import timeout for train.py after 30.0s.\n* https://airflow.apache.org/, PID: 1"
        session.add(
            ParseImportError(timestamp=datetime.now(UTC), filename=file, bundle_name=bundle, stacktrace=said)
        )
    try:
        cards = user.get("/perennial/models/").text
        own = user.get(f"/perennial/models/{FRESH}")
        led = user.get(f"/perennial/models/-/of-dag/drift_{FRESH}")
    finally:
        with create_session() as session:
            session.execute(sa.update(DagModel).where(ours).values(is_stale=False))
            session.execute(sa.delete(ParseImportError))
    assert f'data-model="{FRESH}"' in cards
    assert re.findall(r'data-lost="(\w+)"', cards) == [FRESH]
    assert "DagBag import timeout for train.py after 30.0s." in cards
    assert "PID: 1" not in cards
    assert own.status_code == 200
    assert f'data-lost="{FRESH}"' in own.text
    assert f"/prefix/dags/train_{FRESH}" in own.text
    assert led.headers["location"] == f"/prefix/perennial/models/{FRESH}"
    assert "data-unread" not in user.get("/perennial/models/").text
