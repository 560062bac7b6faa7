"""What the buttons of the Models pages do, and whom Airflow refuses it."""

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import BrowserContext

from tests.dags.browsing import (
    FRESH,
    NEEDS_BROWSER,
    PAUSED,
    admin,
    answers_to,
    ask_a_person,
    browser,
    opened,
    past,
    runs_of,
    server,
    viewer,
)
from tests.unit.overview.past import MODEL, Past, troubled

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

__all__ = ["admin", "browser", "past", "server", "viewer"]

pytestmark = NEEDS_BROWSER


TROUBLED = "handwritten_digit"
"""A model that waits for a person: its breaker is open, and so is a label incident."""

Act = tuple[str, str, dict[str, str], dict[str, Any]]

ACTS: list[Act] = [
    ("trigger", f"train_{MODEL}", {"reason": "to see it"}, {"reason": "to see it"}),
    ("check", f"drift_{MODEL}", {}, {}),
    (
        "release",
        f"release_{MODEL}",
        {"version": "1", "reason": "as before"},
        {"version": "1", "environment": "production", "reason": "as before"},
    ),
    (
        "rollback",
        "rollback_model",
        {"reason": "It is worse."},
        {"model": MODEL, "reason": "It is worse.", "leaving": "2", "environment": "production"},
    ),
    (
        "silence",
        "silence_alerts",
        {"reason": "A planned move.", "days": "0.5"},
        {"model": MODEL, "of": None, "days": 0.5, "reason": "A planned move."},
    ),
    (
        "recall",
        "recall_batch",
        {"batch_ids": "batch-7\n batch-8", "reason": "They are wrong."},
        {"batch_ids": ["batch-7", "batch-8"], "reason": "They are wrong.", "table": None},
    ),
    (
        "decide-batch-7",
        "decide_batch_model",
        {"decision": "confirm", "reason": "I looked."},
        {"model": MODEL, "batch_id": "batch-7", "decision": "confirm", "reason": "I looked."},
    ),
]

ANSWERS: list[Act] = [
    (
        "breaker",
        "close_breaker_model",
        {"reason": "The labels came late."},
        {"model": TROUBLED, "reason": "The labels came late."},
    ),
    (
        "labels",
        "label_incident_model",
        {"answer": "the_world", "reason": "Pens are thicker now."},
        {"model": TROUBLED, "answer": "the_world", "reason": "Pens are thicker now."},
    ),
]
"""What is offered only while something waits for it."""


@pytest.fixture(scope="module")
def in_trouble(past: Past) -> str:
    """The model that waits for a person."""
    return troubled(TROUBLED).model


@pytest.mark.parametrize(("key", "dag_id", "said", "conf"), ACTS, ids=[act[0] for act in ACTS])
def test_a_button_starts_its_dag_with_what_the_form_says(
    admin: BrowserContext, server: str, key: str, dag_id: str, said: dict[str, str], conf: dict[str, Any]
) -> None:
    require_started(admin, f"{server}/perennial/models/{MODEL}", key, dag_id, said, conf)


@pytest.mark.parametrize(("key", "dag_id", "said", "conf"), ANSWERS, ids=[act[0] for act in ANSWERS])
def test_what_waits_for_a_person_is_answered_by_a_button(
    admin: BrowserContext,
    server: str,
    in_trouble: str,
    key: str,
    dag_id: str,
    said: dict[str, str],
    conf: dict[str, Any],
) -> None:
    require_started(admin, f"{server}/perennial/models/{in_trouble}", key, dag_id, said, conf)


def test_a_button_that_answers_is_there_only_while_something_waits_for_it(
    admin: BrowserContext, server: str, in_trouble: str
) -> None:
    keys = {key for key, *_ in ANSWERS}
    for model, offered in ((in_trouble, keys), (FRESH, set())):
        page = opened(admin, f"{server}/perennial/models/{model}")
        page.locator("[data-act=trigger]").wait_for()
        shown = {str(act.get_attribute("data-act")) for act in page.locator("[data-act]").all()}
        assert shown & keys == offered
        page.close()


def require_started(
    admin: BrowserContext, address: str, key: str, dag_id: str, said: dict[str, str], conf: dict[str, Any]
) -> None:
    """Fill a button's form, press it, and see the run that Airflow has then."""
    before = len(runs_of(dag_id))
    page = opened(admin, address)
    act = page.locator(f"[data-act='{key}']")
    act.locator("summary").click()
    for name, value in said.items():
        field = act.locator(f"[name={name}]")
        if field.get_attribute("data-kind") == "choice":
            field.select_option(value)
        else:
            field.fill(value)
    act.locator("button").click()
    act.locator(".outcome.good").wait_for()

    runs = runs_of(dag_id)
    assert len(runs) == before + 1
    given = {name: value for name, value in (runs[-1].conf or {}).items() if value is not None}
    assert given == {name: value for name, value in conf.items() if value is not None}
    assert runs[-1].triggering_user_name == "admin"
    assert runs[-1].run_id in act.locator(".outcome").inner_text()
    page.close()


def test_a_refused_value_is_told_with_airflows_own_words(admin: BrowserContext, server: str) -> None:
    page = opened(admin, f"{server}/perennial/models/{MODEL}")
    act = page.locator("[data-act=silence]")
    act.locator("summary").click()
    act.locator("[name=reason]").fill("too long")
    act.locator("[name=days]").fill("100000")
    act.locator("button").click()
    assert "days" in act.locator(".outcome.bad").inner_text()
    page.close()


def test_a_button_whose_dag_is_paused_says_that_the_run_would_wait(user: "TestClient", past: Past) -> None:
    shown = user.get("/perennial/models/flight_minutes").text
    assert f"The DAG {PAUSED} is paused, so the run would wait." in shown


@pytest.mark.parametrize(("model", "acts"), [(MODEL, ACTS), (TROUBLED, ANSWERS)])
def test_a_viewer_sees_all_and_finds_every_button_dead_and_refused(
    viewer: BrowserContext, server: str, in_trouble: str, model: str, acts: list[Act]
) -> None:
    page = opened(viewer, f"{server}/perennial/models/{model}")
    buttons = page.locator("[data-act] button[type=submit]")
    assert buttons.count() >= len(acts)
    assert all(each.is_disabled() for each in buttons.all())
    assert "Ask an admin" in page.locator("#act + .refused").inner_text()

    for key, dag_id, _, _ in acts:
        before = len(runs_of(dag_id))
        act = page.locator(f"[data-act='{key}']")
        act.locator("summary").click()
        act.locator("form").evaluate(
            "(form) => { form.noValidate = true; form.querySelector('button').disabled = false; }"
        )
        act.locator("button").click()
        assert "Airflow refused" in act.locator(".outcome.bad").inner_text()
        assert len(runs_of(dag_id)) == before
    page.close()


def test_a_question_is_answered_by_who_may_and_by_nobody_else(
    admin: BrowserContext, viewer: BrowserContext, server: str, user: "TestClient"
) -> None:
    dag_id = f"drift_{FRESH}"
    started = user.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": {}})
    assert started.status_code == 200
    ask_a_person(dag_id, "approve")
    address = f"{server}/perennial/models/{FRESH}"

    looking = opened(viewer, address)
    question = looking.locator("[data-question=approve]")
    assert "Is the model to be trained?" in question.inner_text()
    act = question.locator("[data-act=answer-approve]")
    act.locator("summary").click()
    act.locator("button").evaluate("(button) => { button.disabled = false; }")
    act.locator("button").click()
    assert "Airflow refused" in act.locator(".outcome.bad").inner_text()
    assert answers_to(dag_id) == []
    looking.close()

    page = opened(admin, address)
    act = page.locator("[data-act=answer-approve]")
    act.locator("summary").click()
    act.locator("[name=why]").fill("It has.")
    act.locator("button").click()
    act.locator(".outcome.good").wait_for()
    assert answers_to(dag_id) == [(["Approve"], {"why": "It has."}, "admin")]
    page.close()
