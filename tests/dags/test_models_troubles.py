"""What the Models pages say needs somebody: unread DAG files, what is held, and what is silenced."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tasks.contracts import Action
from tasks.ledger import entries
from tests.dags.browsing import FRESH, past
from tests.unit.overview.past import HOSTILE, MODEL, Past

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

__all__ = ["past"]


@pytest.mark.parametrize("told_why", [True, False])
def test_a_model_stays_where_airflow_cannot_read_its_dags_for_a_while(
    user: "TestClient", past: Past, told_why: bool
) -> None:
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
        if told_why:
            session.add(
                ParseImportError(
                    timestamp=datetime.now(UTC), filename=file, bundle_name=bundle, stacktrace=said
                )
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
    assert ("DagBag import timeout for train.py after 30.0s." in cards) is told_why
    assert "PID: 1" not in cards
    assert own.status_code == 200
    assert f'data-lost="{FRESH}"' in own.text
    assert f"/prefix/dags/train_{FRESH}" in own.text
    assert led.headers["location"] == f"/prefix/perennial/models/{FRESH}"
    assert "data-unread" not in user.get("/perennial/models/").text


def test_an_alarm_says_until_when_it_is_silenced_and_what_is_held_asks_for_a_decision(
    user: "TestClient", past: Past
) -> None:
    before = user.get(f"/perennial/models/{MODEL}").text
    assert "data-held=" not in before
    assert "Alerts of this are silenced" not in before
    told: dict[str, Any] = {"model": MODEL, "actor": "person:ann", "before": "all"}
    silence = entries.record(
        **told, action=Action.SILENCE, after="silenced", why="A move.", evidence={"of": None, "days": 1.0}
    )
    held = {**told, "before": f"sender:{HOSTILE}"}
    entries.record(**held, action=Action.DOOR, after="held", why="They say the same.", evidence={"rows": 31})

    shown = user.get(f"/perennial/models/{MODEL}").text
    until = f"{silence.at + timedelta(days=1):%Y-%m-%d %H:%M} UTC"
    assert f"Alerts of this are silenced until {until}</strong>, by ann: A move." in shown
    assert f"Alerts of this are silenced until {until}" in user.get("/perennial/models/").text
    assert shown.count("data-held=") == 1
    assert "31 labelled requests of" in shown
    assert f"perennial decide {MODEL}" in shown
    assert HOSTILE not in shown
