"""The Models pages at Airflow's own API server, and browsers that somebody has logged in with."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from embedded.ports import free_port
from plugins.live_curves import KEY
from tasks.contracts import Action, LedgerEntry, TrainingCurves
from tasks.ledger import entries
from tasks.settings import PROJECT, settings
from tasks.stores import database
from tests.dags.runs import pause
from tests.unit.overview.past import MODEL, Past, lived

if TYPE_CHECKING:
    from airflow.models import DagRun
    from fastapi.testclient import TestClient

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = PROJECT / "tests" / "axe" / "axe.min.js"
FRESH = "flight_delay"
"""A model of the project that has no past."""
PAUSED = "train_flight_minutes"
"""The one DAG that is not switched on."""

NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def past(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A ledger with a past, and the shipped DAGs in Airflow's database, switched on."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    home = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PERENNIAL_HOME", str(home))
        settings.cache_clear()
        database.engine.cache_clear()
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag(str(PROJECT / "dags"))
        sync_bag_to_db(bag, "dags-folder", None)
        with switched_on([dag_id for dag_id in bag.dags if dag_id != PAUSED]):
            yield lived()
        database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


@contextmanager
def switched_on(dag_ids: list[str]) -> Iterator[None]:
    """DAGs that are switched on for a while; the runs that are started meanwhile are gone afterwards."""
    import sqlalchemy as sa
    from airflow.models import DagModel, DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        newest = session.scalar(sa.select(sa.func.max(DagRun.id))) or 0
        paused = list(session.scalars(sa.select(DagModel.dag_id).where(DagModel.is_paused)))
    pause(*dag_ids, paused=False)
    yield
    with create_session() as session:
        session.execute(sa.delete(DagRun).where(DagRun.id > newest))
    pause(*paused)


@pytest.fixture(scope="module")
def server(stranger: "TestClient", past: Past) -> Iterator[str]:
    """Airflow's API server at a port of its own, below the prefix that its base URL names."""
    import uvicorn

    port = free_port()
    running = uvicorn.Server(uvicorn.Config(stranger.app, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until(lambda: running.started, "the API server")
    yield f"http://127.0.0.1:{port}/prefix"
    running.should_exit = True
    thread.join(timeout=60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def admin(browser: Browser, server: str) -> Iterator[BrowserContext]:
    yield from logged_in(browser, server, "admin")


@pytest.fixture(scope="module")
def viewer(browser: Browser, server: str) -> Iterator[BrowserContext]:
    yield from logged_in(browser, server, "guest")


def logged_in(browser: Browser, server: str, name: str) -> Iterator[BrowserContext]:
    """A browser that somebody has logged in with, by Airflow's own form."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{server}/perennial/models/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", "secret")
    page.click("button[type=submit]")
    page.wait_for_url("**/perennial/models/")
    page.close()
    yield context
    context.close()


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s in vain for {what}")


def opened(context: BrowserContext, url: str, **how: Any) -> Page:
    page = context.new_page()
    page.goto(url, **how)
    return page


def entry_of(action: Action, after: str | None = None) -> LedgerEntry:
    """The newest entry of a kind about the model."""
    found = [each for each in entries.history(MODEL, [action]) if after in {None, each.after}]
    return found[-1]


def runs_of(dag_id: str) -> "list[DagRun]":
    """Every run of a DAG, the newest last."""
    import sqlalchemy as sa
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = list(session.scalars(sa.select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.id)))
        session.expunge_all()
        return found


def ended(dag_id: str, state: str) -> None:
    """Let the newest run of a DAG end, and each of its tasks: there is no scheduler here."""
    import sqlalchemy as sa
    from airflow.models import DagRun, TaskInstance
    from airflow.utils.session import create_session

    run_id = runs_of(dag_id)[-1].run_id
    with create_session() as session:
        for table in (DagRun, TaskInstance):
            own = (table.dag_id == dag_id, table.run_id == run_id)
            session.execute(sa.update(table).where(*own).values(state=state))


def returned(dag_id: str, task_id: str, value: Any) -> None:
    """Let a task of the newest run of a DAG have returned this: there is no worker here."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    run_id = runs_of(dag_id)[-1].run_id
    with create_session() as session:
        XComModel.set("return_value", value, dag_id=dag_id, task_id=task_id, run_id=run_id, session=session)


def ask_a_person(dag_id: str, task_id: str) -> None:
    """Let the newest run of a DAG ask a person, as Airflow's operator does when a worker runs it: there is no
    scheduler here that would come so far.
    """
    import sqlalchemy as sa
    from airflow.models import TaskInstance
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session

    run_id = runs_of(dag_id)[-1].run_id
    with create_session() as session:
        of_run = sa.select(TaskInstance).where(
            TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id
        )
        task = session.scalars(of_run).one()
        task.state = "awaiting_input"
        session.add(
            HITLDetail(
                ti_id=task.id,
                options=["Approve", "Reject"],
                subject="Is the model to be trained?",
                body="The traffic moved.",
                params={"why": {"value": None, "description": None, "schema": {"type": ["string", "null"]}}},
            )
        )


def answers_to(dag_id: str) -> list[tuple[list[str], dict[str, Any], str]]:
    """What people answered a DAG's runs: what they chose, what they said, and who they are."""
    import sqlalchemy as sa
    from airflow.models import TaskInstance
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session

    given = sa.select(HITLDetail).join(TaskInstance, HITLDetail.ti_id == TaskInstance.id)
    with create_session() as session:
        found = session.scalars(
            given.where(TaskInstance.dag_id == dag_id, HITLDetail.responded_at.is_not(None))
        ).all()
        return [
            (list(each.chosen_options), dict(each.params_input), each.responded_by["name"]) for each in found
        ]


def keep_curves(run: dict[str, Any], record: TrainingCurves) -> None:
    """Let a training have said something of itself, as its worker hands it on."""
    from airflow._shared.state import TaskScope
    from airflow.state import get_state_backend

    scope = TaskScope(dag_id=run["dag_id"], run_id=run["dag_run_id"], task_id="train")
    get_state_backend().set(scope, KEY, record.model_dump_json())


def end(dag_id: str, run_id: str, task_id: str, state: str) -> None:
    """Let a task of a run have ended now, as it does when a worker has run it."""
    import sqlalchemy as sa
    from airflow.models import TaskInstance
    from airflow.utils.session import create_session

    own = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
    ended = sa.update(TaskInstance).where(*own).values(state=state, end_date=datetime.now(UTC))
    with create_session() as session:
        assert session.execute(ended).rowcount == 1


def leave(run: dict[str, Any], task_id: str, result: dict[str, Any]) -> None:
    """Let a task of a run have left a result, as a worker does; it takes the place of another one."""
    import sqlalchemy as sa
    from airflow.models import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    own = (TaskInstance.dag_id == run["dag_id"], TaskInstance.run_id == run["dag_run_id"])
    with create_session() as session:
        session.execute(sa.delete(TaskInstance).where(*own, TaskInstance.task_id == task_id))
        first = session.scalars(sa.select(TaskInstance.id).where(*own).limit(1)).one()
        session.execute(sa.update(TaskInstance).where(TaskInstance.id == first).values(task_id=task_id))
    XComModel.set(
        key="return_value", value=result, task_id=task_id, dag_id=run["dag_id"], run_id=run["dag_run_id"]
    )
