"""The decorator that makes a DAG family: one DAG for each model, or for each table."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from airflow.sdk import DAG, Param
from airflow.sdk.definitions.deadline import DeadlineAlert

from plugins.models import folder_of
from plugins.operators import RETRIES

Subject = TypeVar("Subject")
Build = Callable[[Subject], None]


def pipeline(
    *,
    over: Callable[[Path], Mapping[str, Subject]],
    schedule: Callable[[Subject], Any],
    form: Callable[[Subject, Path], dict[str, Param]],
    paused: bool | None = None,
    deadline: Callable[[Subject], DeadlineAlert | None] = lambda _: None,
) -> Callable[[Build[Subject]], Build[Subject]]:
    """Make the DAG `<function>_<name>` for each subject; the
    function says its tasks, its docstring is the DAG's page.

    Args:
        over: The subjects of a models folder by name: `plugins.models.models` or `plugins.models.tables`. The
            folder is that of the checkout that the decorated function lies in.
        schedule: When the DAG of a subject runs; None only when asked.
        form: The parameters that the trigger dialog asks for.
        paused: Whether a new DAG waits until somebody switches it on; None for Airflow's own default, which
            is that it does.
        deadline: By when a run of a subject has to end, and what is done where it has not; None for never.
    """

    def make(build: Build[Subject]) -> Build[Subject]:
        family, folder = build.__name__, folder_of(build.__code__.co_filename)
        for name, subject in over(folder).items():
            with DAG(
                dag_id=f"{family}_{name}",
                description=" ".join(_told(build).partition("\n\n")[0].split()),
                doc_md=_page(build, subject),
                schedule=schedule(subject),
                catchup=False,
                max_active_runs=1,
                is_paused_upon_creation=paused,
                params=form(subject, folder),
                deadline=deadline(subject),
                tags=[family, name],
                default_args={**RETRIES, "owner": getattr(subject, "owner", "perennial")},
            ):
                build(subject)
        return build

    return make


def _page(build: Build[Any], subject: Any) -> str:
    about = getattr(subject, "description", "")
    return "\n\n".join(part for part in (about, _told(build)) if part)


def _told(build: Build[Any]) -> str:
    """The docstring without the indentation of its source, which Markdown would show as code."""
    return inspect.getdoc(build) or ""
