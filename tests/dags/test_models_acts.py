"""What the buttons of the Models pages do, and whom Airflow refuses it."""

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import BrowserContext

from tasks.contracts import Action
from tasks.ledger import entries
from tests.dags.browsing import (
    FRESH,
    NEEDS_BROWSER,
    PAUSED,
    admin,
    answers_to,
    ask_a_person,
    browser,
    ended,
    opened,
    past,
    returned,
    runs_of,
    server,
    viewer,
)
from tests.unit import judged
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
    act.locator(".outcome.calm").wait_for()

    runs = runs_of(dag_id)
    assert len(runs) == before + 1
    given = {name: value for name, value in (runs[-1].conf or {}).items() if value is not None}
    assert given == {name: value for name, value in conf.items() if value is not None}
    assert runs[-1].triggering_user_name == "admin"
    link = act.locator(".outcome a")
    assert link.inner_text() == f"{runs[-1].run_id} of {dag_id}"
    assert str(link.get_attribute("href")).startswith(f"/prefix/dags/{dag_id}/runs/manual__")
    page.close()


def test_batches_are_chosen_among_those_that_joined_and_typed_beside_them(
    admin: BrowserContext, server: str, past: Past
) -> None:
    for number in (1, 2):
        entries.record(
            model=judged.SPEC.data.table,
            actor="airflow:ingest_reviews/r/ingest",
            action=Action.INGEST,
            before=None,
            after="published",
            why="So.",
            evidence={"file": f"day-{number}.csv", "batch_id": f"joined-{number}", "published_rows": 1200},
        )
    page = opened(admin, f"{server}/perennial/models/{MODEL}")
    act = page.locator("[data-act=recall]")
    act.locator("summary").click()
    known = act.locator("select[data-adds]")
    offered = known.locator("option").all_inner_texts()
    assert "day-2.csv, 1,200 rows" in offered[1]
    assert "day-1.csv" in offered[2]
    for chosen in ("joined-1", "joined-2", "joined-1"):
        known.select_option(chosen)
    wanted = act.locator("[name=batch_ids]")
    assert wanted.input_value() == "joined-1\njoined-2", "each once"
    wanted.fill(f"{wanted.input_value()}\ntyped-3")
    act.locator("[name=reason]").fill("They are wrong.")
    act.locator("button").click()
    act.locator(".outcome.calm").wait_for()
    assert runs_of("recall_batch")[-1].conf["batch_ids"] == ["joined-1", "joined-2", "typed-3"]

    refused = {"model": MODEL, "granted": False, "train_run_id": None, "reason": "One was an hour ago."}
    granted = refused | {"model": FRESH, "granted": True, "train_run_id": "r", "reason": "So."}
    returned("recall_batch", "tickets", [{"ticket": refused}, {"ticket": granted}])
    ended("recall_batch", "success")
    act.locator(".outcome.warn").wait_for()
    assert (
        act.locator(".outcome")
        .inner_text()
        .endswith(f"succeeded. But {MODEL} is not trained again without them now: One was an hour ago.")
    )
    page.close()


@pytest.mark.parametrize("state", ["success", "failed"])
def test_how_a_started_run_ends_stands_where_it_was_pressed_and_a_failure_on_the_page_too(
    admin: BrowserContext, server: str, state: str
) -> None:
    page = opened(admin, f"{server}/perennial/models/{MODEL}")
    act = page.locator("[data-act=rollback]")
    act.locator("summary").click()
    act.locator("[name=reason]").fill("It is worse.")
    act.locator("button").click()
    outcome = act.locator(".outcome")
    act.locator(".outcome.calm").wait_for()
    assert outcome.get_attribute("role") == "status"

    run_id = runs_of("rollback_model")[-1].run_id
    ended("rollback_model", state)
    act.locator(".outcome.good, .outcome.bad").wait_for()
    said, troubles = outcome.inner_text(), page.locator(f"[data-failed='{run_id}']")
    page.locator("#stale").wait_for()
    page.goto(f"{server}/perennial/models/{MODEL}")
    if state == "failed":
        assert said.startswith(f"Failed: {run_id} of rollback_model did not do what you asked. Its task")
        assert said.endswith("The task's log")
        assert "which admin started" in troubles.inner_text()
        logs = troubles.locator("a").first.get_attribute("href")
        assert str(logs).endswith("/tasks/rollback")
        page.goto(f"{server}/perennial/models/")
        assert page.locator(f"[data-model={MODEL}] [data-failed='{run_id}']").count() == 1
    else:
        assert said == f"Done: {run_id} of rollback_model succeeded."
        assert troubles.count() == 0
    page.close()


def test_a_later_success_ends_what_is_said_of_a_failure(user: "TestClient", past: Past) -> None:
    for state, shown in (("failed", 1), ("success", 0)):
        conf = {"logical_date": None, "conf": {"model": MODEL, "reason": "It is worse."}}
        assert user.post("/api/v2/dags/rollback_model/dagRuns", json=conf).status_code == 200
        ended("rollback_model", state)
        own = user.get(f"/perennial/models/{MODEL}").text
        assert own.count("data-failed=") == shown
        assert "data-failed=" not in user.get(f"/perennial/models/{FRESH}").text


def test_a_wrong_value_is_told_before_it_is_sent_and_else_by_airflows_first_line(
    admin: BrowserContext, server: str
) -> None:
    page = opened(admin, f"{server}/perennial/models/{MODEL}")
    act = page.locator("[data-act=silence]")
    act.locator("summary").click()
    act.locator("[name=reason]").fill("too long")
    act.locator("[name=days]").fill("100000")
    act.locator("button").click()
    said = act.locator("[name=days]").evaluate("(field) => field.validationMessage")
    assert said.startswith("A number of days, above 0 and at most")
    assert act.locator(".outcome").inner_text() == ""

    act.locator("form").evaluate("(form) => { form.noValidate = true; }")
    act.locator("button").click()
    refused = act.locator(".outcome.bad").inner_text()
    assert "days" in refused
    assert "Failed validating" not in refused
    page.close()


def test_a_release_offers_the_versions_that_the_ledger_knows_and_takes_numbers_only(
    admin: BrowserContext, server: str
) -> None:
    page = opened(admin, f"{server}/perennial/models/{MODEL}")
    act = page.locator("[data-act=release]")
    act.locator("summary").click()
    offered = act.locator("datalist option").evaluate_all("(all) => all.map((each) => each.value)")
    assert set(offered) >= {"1", "2"}
    act.locator("[name=version]").fill("abc")
    act.locator("button").click()
    said = act.locator("[name=version]").evaluate("(field) => field.validationMessage")
    assert said == "The number of a version, such as 3: the table of versions has them."
    act.locator("[name=version]").fill("3")
    assert act.locator("form").evaluate("(form) => form.checkValidity()")
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
