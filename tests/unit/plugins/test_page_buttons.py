"""Which buttons of the Models pages are dead, and why; which runs by hand count as failed."""

from types import SimpleNamespace

import pytest

from plugins.pages.actions import Button, buttons_of
from plugins.pages.failed_acts import last_of_each
from plugins.pages.of_airflow import Dag
from tasks.overview.look import detail
from tests.unit.overview.past import MODEL, Past

pytestmark = pytest.mark.usefixtures("home")


def button(key: str) -> Button:
    known = {each: Dag(each, paused=False, next_at=None) for each in ("rollback_model", f"release_{MODEL}")}
    found = buttons_of(MODEL, detail(MODEL), known, lambda _: True)
    return next(each for each in found if each.key == key)


def test_roll_back_is_dead_until_there_is_a_version_to_go_back_to() -> None:
    assert button("rollback").refused == "Nothing serves, so there is nothing to go back from."
    past = Past()
    past.switched(1)
    assert button("rollback").refused.startswith("Before version 1 there is none to go back to")
    past.switched(2, before=1)
    assert button("rollback").refused == ""


def test_a_release_offers_every_version_that_the_ledger_knows() -> None:
    past = Past()
    past.switched(1)
    past.switched(2, before=1)
    offered = dict(button("release").fields[0].choices)
    assert list(offered) == ["2", "1"]
    assert offered["2"] == "it serves now"


def test_the_newest_run_about_the_same_thing_counts() -> None:
    runs = [
        SimpleNamespace(dag_id=dag_id, conf=conf, state=state)
        for dag_id, conf, state in (
            ("recall_batch", {"batch_ids": ["b"]}, "success"),
            ("rollback_model", {"model": "one"}, "success"),
            ("rollback_model", {"model": "two"}, "failed"),
            ("recall_batch", {"batch_ids": ["a"]}, "failed"),
            ("rollback_model", {"model": "one"}, "failed"),
        )
    ]
    counted = [(each.conf.get("model"), each.state) for each in last_of_each(runs)]
    assert counted == [(None, "success"), ("one", "success"), ("two", "failed"), (None, "failed")]
