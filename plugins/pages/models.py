"""The Models pages: what serves of each model, why, how well, and what can be done about it.

Everybody who is logged in to Airflow may look, as at the ledger and the reports. All that they show comes
from the ledger and Airflow's own tables, so the API server needs no right at the gateway or at MLflow. They
answer GET alone: what a button does, the browser asks Airflow's REST API for (`plugins.pages.actions`).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from plugins.pages import of_airflow
from plugins.pages.actions import answers_of, buttons_of
from plugins.pages.failed_acts import failed_acts
from plugins.pages.links import models_page, prefix, report_page
from plugins.pages.render import HEADERS, STATIC, page
from plugins.pages.unread import lost_models, unread_files
from tasks.errors import InvalidProject, LedgerBroken
from tasks.ledger.newest import lines_of
from tasks.overview.batches import joined
from tasks.overview.curves import drawn_of
from tasks.overview.evidence import evidence_of
from tasks.overview.look import comparison, decision, detail, overview
from tasks.release.agreement import disagreements
from tasks.settings import settings
from tasks.spec import PipelineSpec

app = FastAPI(title="Perennial's models", openapi_url=None)

User = Annotated[Any, Depends(get_user)]
Name = Annotated[str, Field(pattern=r"^[^\x00]+$")]
"""Of a model, or of none; PostgreSQL cannot even be asked about a text with that character."""
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""Of an entry of the ledger; a database has no larger one."""
MEDIA_TYPES = {"pages.css": "text/css; charset=utf-8", "pages.js": "text/javascript; charset=utf-8"}


@app.get("/")
def everything(_user: User) -> Response:
    """One card a model."""
    known = of_airflow.dags()
    lost = lost_models(known)
    cards = overview({*of_airflow.models_in(known), *lost})
    runs = of_airflow.at_work()
    busy: dict[str, list[of_airflow.Run]] = {}
    for run in runs:
        busy.setdefault(of_airflow.model_of(run.dag_id, _train_dags(known, lost)) or "", []).append(run)
    return page(
        "overview.html",
        title="Models",
        cards=cards,
        dags=known,
        busy=busy,
        failed_acts=[each for each in failed_acts() if each.model],
        lost=lost,
        unread=unread_files(),
        next_families=of_airflow.NEXT,
        **_held(),
    )


@app.get("/-/of-dag/{dag_id}")
def of_dag(dag_id: str, _user: User) -> Response:
    """The page of the model that a DAG is of; the overview where it is of none."""
    known = of_airflow.dags()
    model = of_airflow.model_of(dag_id, _train_dags(known, lost_models(known)))
    return RedirectResponse(models_page(quote(model or "")), headers=HEADERS)


@app.get("/-/{name}")
def static(name: str) -> Response:
    """The stylesheet and the script, which say nothing of any model."""
    if name not in MEDIA_TYPES:
        raise HTTPException(404, "There is no such file.", headers=HEADERS)
    headers = {**HEADERS, "Cache-Control": "no-cache"}
    return FileResponse(STATIC / name, media_type=MEDIA_TYPES[name], headers=headers)


@app.get("/{model}")
def model_page(model: Name, user: User, before: Number | None = None, kinds: str = "") -> Response:
    """All of one model.

    Args:
        before: Show the timeline before the entry of this number.
        kinds: `all` for the entries, too, that follow from others.
    """
    known = of_airflow.dags()
    now = _live(model)  # before the rest, so that what changes meanwhile is told as new
    seen = detail(model, before=before, everything=kinds == "all")
    lost = lost_models(known)
    if not seen.lines and before is None and model not in {*of_airflow.models_in(known), *lost}:
        raise HTTPException(404, f"There is no model {model!r}.", headers=HEADERS)
    asked = of_airflow.questions(model)
    return page(
        "model.html",
        title=model,
        model=model,
        seen=seen,
        checked=evidence_of(seen.check) if seen.check else None,
        failed_acts=[
            each for each in failed_acts() if each.is_of(model) and not each.is_told(seen.card.troubles)
        ],
        buttons=buttons_of(
            model, seen, known, lambda dag_id: of_airflow.may_start(user, dag_id), joined(_tables_of(model))
        ),
        asked=answers_of(asked, lambda dag_id: of_airflow.may_answer(user, dag_id)),
        next_runs=[
            known[dag_id] for family in of_airflow.FAMILIES if (dag_id := f"{family}_{model}") in known
        ],
        lost=model in lost,
        unread=unread_files(),
        model_cards=of_airflow.cards_of(model),
        kinds=kinds,
        before=before,
        **now,
        **_held(),
    )


@app.get("/{model}/live")
def live(model: Name, _user: User) -> Response:
    """What of a model is at work now, as a piece of its page."""
    return page("live.html", model=model, **_live(model))


@app.get("/{model}/decisions/{sequence}")
def decision_page(model: Name, sequence: Number, _user: User) -> Response:
    """One entry of the ledger, and what it rests on."""
    entry = decision(model, sequence)
    if entry is None:
        raise HTTPException(404, f"The ledger has no entry {sequence} about {model!r}.", headers=HEADERS)
    title = f"Entry {sequence} about {model}"
    return page("decision.html", title=title, model=model, entry=entry, evidence=evidence_of(entry))


@app.get("/{model}/versions/{version}/card")
def card(model: Name, version: str, _user: User) -> Response:
    """The model card of a version, where the step that writes it has kept it."""
    url = of_airflow.cards_of(model).get(version)
    target = report_page(url) if url else ""
    if not target:
        raise HTTPException(404, f"Version {version!r} of {model!r} has no model card here.", headers=HEADERS)
    return RedirectResponse(target, headers=HEADERS)


def _tables_of(model: str) -> list[str]:
    """The tables that a model is trained on; none where its files cannot be read, which the page says."""
    try:
        spec = PipelineSpec.load(settings().models / model / "pipeline.yaml")
    except InvalidProject:
        return []
    return [table.table for table in spec.data.all_tables]


def _train_dags(known: Iterable[str], lost: Iterable[str]) -> set[str]:
    """The DAGs that Airflow has, and those that it would have of the models that it cannot read now."""
    return {*known, *(f"train_{model}" for model in lost)}


def _live(model: str) -> dict[str, Any]:
    """What is at work, and a mark that changes when the rest of the page is old."""
    runs, asked = of_airflow.at_work(model), of_airflow.questions(model)
    told = [str(line.sequence) for line in lines_of(model, 1)]
    differs = [each.since.isoformat() for each in disagreements(model)]
    parts = [
        *told,
        *differs,
        *(run.run_id for run in runs),
        *(f"{each.run_id}:{each.task_id}" for each in asked),
    ]
    trained = of_airflow.training_of(model)
    return {
        "runs": runs,
        "waiting": asked,
        "mark": "|".join(parts),
        "trained": trained,
        "drawn": drawn_of(trained.curves, datetime.now(UTC)) if trained else None,
    }


def _held() -> dict[str, Any]:
    """When what the pages show was last held against what is there, and whether that failed."""
    return {
        "comparison": comparison(datetime.now(UTC)),
        "failed": of_airflow.failed_reconciliation(),
        "reconcile": of_airflow.RECONCILE,
    }


@app.exception_handler(LedgerBroken)
def broken(_request: Request, error: LedgerBroken) -> Response:
    """What to do where the ledger cannot be read."""
    return page("failed.html", status=503, title="The ledger cannot be read", why=str(error))


@app.exception_handler(RequestValidationError)
def impossible(_request: Request, _error: RequestValidationError) -> Response:
    """An address that names what cannot be, such as the entry -1."""
    why = "The address of this page names something that cannot be. Begin with Models, above."
    return page("failed.html", status=404, title="Not found", why=why)


@app.exception_handler(StarletteHTTPException)
async def refused(request: Request, error: StarletteHTTPException) -> Response:
    """Send who is not logged in to Airflow's own page for that; tell others on a page what is wrong."""
    if error.status_code == 401 and "text/html" in request.headers.get("accept", ""):
        target = quote(f"{prefix()}{request.scope['path'].removeprefix(prefix())}", safe="")
        return RedirectResponse(f"{prefix()}/api/v2/auth/login?next={target}", headers=HEADERS)
    if error.status_code == 404:
        return page("failed.html", status=404, title="Not found", why=str(error.detail))
    return await http_exception_handler(request, error)
