"""The buttons of a step's page in Airflow: its report, its MLflow run.

Airflow asks for a link when a try ends, well or not, in the process that ran it; the operator then still
holds its rendered inputs and its outcome: the result, or the evidence of the error.
"""

from typing import Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf
from upath import UPath

from tasks.settings import settings

REPORTS = "/perennial/runs"
MODELS = "/perennial/models"


class ValidationReportLink(BaseOperatorLink):
    """To the expectations that the data met and broke;
    where a step wrote several reports, to the list of them.
    """

    name = "Validation report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        outcome = operator.outcome
        reports = {outcome.get("report_url") or outcome.get("url")} | {
            file.get("report_url") for file in outcome.get("files", ())
        }
        urls = sorted(url for url in reports if url)
        return report_page(urls[0] if len(urls) == 1 else str(UPath(urls[0]).parent)) if urls else ""


class DriftPageLink(BaseOperatorLink):
    """To what was found out about the window, over time and column by column, and why it was decided so."""

    name = "Drift check"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        url = operator.outcome.get("page_url")
        return report_page(url) if url else ""


class DriftReportLink(BaseOperatorLink):
    """To Evidently's comparison of the window with the champion's reference."""

    name = "Evidently's report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        url = operator.outcome.get("report_url")
        return report_page(url) if url else ""


class EvaluationReportLink(BaseOperatorLink):
    """To the comparison of candidate, champion and baseline."""

    name = "Evaluation report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        url = operator.outcome.get("report_url") or operator.outcome.get("evaluation_url")
        return report_page(url) if url else ""


class ExplanationLink(BaseOperatorLink):
    """To the auditors' page."""

    name = "Why"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        url = operator.outcome.get("report_url")
        return report_page(url) if url else ""


class CardLink(BaseOperatorLink):
    """To the model card of the version."""

    name = "Model card"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        url = operator.outcome.get("report_url")
        return report_page(url) if url else ""


class MLflowRunLink(BaseOperatorLink):
    """To the run in MLflow that the step made or works on."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        run = operator.inputs.get("run") or operator.outcome
        if not (isinstance(run, dict) and run.get("experiment_id") and run.get("run_id")):
            return ""
        return mlflow_page(f"experiments/{run['experiment_id']}/runs/{run['run_id']}")


LINKS: dict[str, tuple[BaseOperatorLink, ...]] = {
    "ingest": (ValidationReportLink(),),
    "validate": (ValidationReportLink(),),
    "train": (MLflowRunLink(),),
    "package": (MLflowRunLink(),),
    "evaluate": (EvaluationReportLink(), MLflowRunLink()),
    "gate": (EvaluationReportLink(), MLflowRunLink()),
    "register": (MLflowRunLink(),),
    "describe": (CardLink(),),
    "drift": (DriftPageLink(), DriftReportLink()),
    "reproduce": (MLflowRunLink(),),
    "explain": (ExplanationLink(),),
}


def links_of(verb: str) -> tuple[BaseOperatorLink, ...]:
    """The links that a step of this verb has."""
    return LINKS.get(verb, ())


def report_page(url: str) -> str:
    """Where a browser finds a report of the store: our page for
    what lies in the runs folder, else `url` itself if it is HTTP.

    Only the path of Airflow's base URL is kept, so that the link works through whatever name the user reached
    Airflow by.
    """
    try:
        place, runs = UPath(url), UPath(settings().runs)
    except (ValueError, ImportError):  # of a store that this process cannot reach, or of none
        return url if urlsplit(url).scheme in {"http", "https"} else ""
    if type(place) is type(runs) and place.is_relative_to(runs):
        return f"{prefix()}{REPORTS}/{quote(place.relative_to(runs).as_posix())}"
    return url if urlsplit(url).scheme in {"http", "https"} else ""


def mlflow_page(path: str) -> str:
    """Where a browser finds one of MLflow's pages, such as `models/NAME/versions/2`."""
    return f"{(settings().mlflow_pages or settings().mlflow_url).rstrip('/')}/#/{path}"


def models_page(path: str = "") -> str:
    """Where a browser finds the Models pages, or one of them."""
    return f"{prefix()}{MODELS}/{path}"


def prefix() -> str:
    """What stands before every path of Airflow's pages, such as `/airflow`; empty for nothing."""
    return str(urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/"))
