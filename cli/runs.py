"""What Airflow has at work, and what of its DAGs is wrong."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from cli.airflow import Airflow
from cli.exits import FAULT, INVALID, NOTHING, QUARANTINED, REFUSED, LoginRefused
from tasks.errors import PerennialError
from tasks.overview.import_errors import fact_of

WATCHED = ("ingest", "train", "release", "drift", "collect")
ALERTS_DAG, ALERTS_TASK = "reconcile_ledger", "send_alerts"
ENDED = ("success", "failed")
ASKS = "awaiting_input"

REPORTS_QUARANTINED = "report_quarantined"
"""The task that fails where batches were quarantined, while the training goes on without them."""

FAILED_WITH = {"StepRefused": REFUSED, "StepInvalid": INVALID, "StepHadNothing": NOTHING}
"""The errors of plugins/failures.py, by which a task fails for good."""


@dataclass(frozen=True)
class Run:
    """A run that has not ended.

    Attributes:
        state: Airflow's: `running`, or `queued` where it waits for another.
        tasks: Those at work now.
        since: When it was asked for.
        asks: The task of it that waits for a person's answer; None where none does.
        question: What that task asks, with what was found so far, the deadline and what counts without an
            answer.
    """

    dag_id: str
    run_id: str
    state: str
    tasks: tuple[str, ...]
    since: datetime
    asks: str | None = None
    question: str = ""

    def of(self, model: str) -> bool:
        """Whether it is a model's own."""
        return self.dag_id in {f"{family}_{model}" for family in WATCHED}

    def __str__(self) -> str:
        return f"{self.dag_id}: {', '.join(self.tasks) or self.state}"


@dataclass(frozen=True)
class Failure:
    """A task that failed, what it said, and the exit code that says so."""

    task: str
    why: str
    code: int


@dataclass(frozen=True)
class FailedNewest:
    """The newest run of a DAG that ended, which failed.

    Attributes:
        since: When it began.
        why: A sentence.
    """

    dag_id: str
    run_id: str
    since: datetime
    why: str

    @property
    def run(self) -> str:
        """`DAG/run`, as the ledger and alerts name it."""
        return f"{self.dag_id}/{self.run_id}"


@dataclass(frozen=True)
class Airflows:
    """What Airflow says of itself at one moment.

    Attributes:
        paused: DAGs that start no run.
        faults: What is wrong beside failed runs; a sentence each.
        failed: The DAGs whose newest run failed.
    """

    runs: tuple[Run, ...]
    paused: frozenset[str]
    faults: tuple[str, ...]
    failed: tuple[FailedNewest, ...] = ()


def look(airflow: Airflow, only: str | None = None) -> Airflows:
    """Ask Airflow for everything that `status` tells of it; that it does not answer is a fault too.

    Args:
        only: The model of whose runs a failure is told, with those of every table; None for all models.

    Raises:
        LoginRefused: It answers, but not to this user or token.
    """
    try:
        dags = list(airflow.every("/dags", "dags"))
        return Airflows(
            runs=tuple(_at_work(airflow)),
            paused=frozenset(dag["dag_id"] for dag in dags if dag["is_paused"]),
            faults=(
                *_ill(airflow),
                *_not_imported(airflow),
                *_untold(airflow, dags),
            ),
            failed=tuple(_failed(airflow, dags, only)),
        )
    except LoginRefused:
        raise
    except PerennialError as error:
        return Airflows((), frozenset(), (str(error),))


def _at_work(airflow: Airflow) -> Iterator[Run]:
    states = ["running", "deferred", "up_for_retry", ASKS]
    busy = list(airflow.every("/dags/~/dagRuns/~/taskInstances", "task_instances", state=states))
    asked = _asked(airflow) if any(task["state"] == ASKS for task in busy) else {}
    for run in airflow.every("/dags/~/dagRuns", "dag_runs", state=["running", "queued"]):
        own = [task for task in busy if _is_of(task, run)]
        yield Run(
            run["dag_id"],
            run["dag_run_id"],
            run["state"],
            tuple(task["task_id"] for task in own),
            datetime.fromisoformat(run["run_after"]),
            next((task["task_id"] for task in own if task["state"] == ASKS), None),
            asked.get((run["dag_id"], run["dag_run_id"]), ""),
        )


def _asked(airflow: Airflow) -> dict[tuple[str, str], str]:
    """What is asked of people, by the run that asks."""
    found = airflow.every("/dags/~/dagRuns/~/hitlDetails", "hitl_details", response_received=False)
    return {
        (each["task_instance"]["dag_id"], each["task_instance"]["dag_run_id"]): "\n".join(
            [each["subject"], *filter(None, (each.get("body") or "").splitlines())]
        )
        for each in found
        if each["task_instance"]["state"] == ASKS
    }


def asking(airflow: Airflow) -> list[Run]:
    """The runs that wait for a person's answer, the oldest first."""
    return sorted((run for run in _at_work(airflow) if run.asks), key=lambda run: run.since)


def answer(airflow: Airflow, run: Run, chosen: str, why: str) -> Any:
    """Answer what a run asks, as who is logged in.

    Raises:
        InvalidRequest: It was answered meanwhile.
        PlatformAway, LoginRefused, AirflowRefused: As `Airflow.call`.
    """
    said = {"chosen_options": [chosen], "params_input": {"why": why}}
    instance = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{run.asks}/-1"
    return airflow.call("PATCH", f"{instance}/hitlDetails", json=said)


def questions(runs: Sequence[Run], page: Callable[[str, str], str]) -> Iterator[str]:
    """Which run waits for an answer, what waits behind it, and what to do; a sentence each.

    A run whose release was ended meanwhile goes on asking: Airflow ends it by the answer alone.

    Args:
        page: The address of a run's page.
    """
    for run in (run for run in runs if run.asks):
        behind = sum(other.dag_id == run.dag_id and other.state == "queued" for other in runs)
        waits = f" {behind} later run{'s wait' if behind > 1 else ' waits'} behind it." if behind else ""
        is_release = run.dag_id.startswith("release_")
        ended = " Where its release was ended meanwhile, reject it." if is_release else ""
        model, where = run.dag_id.partition("_")[2], page(run.dag_id, run.run_id)
        lines = ["", *run.question.splitlines()]
        asked = "\n  ".join(lines)
        yield (
            f"{run.dag_id}: the run {run.run_id} waits for an answer to {run.asks}.{waits}{ended} {where}"
            f"{asked}"
            f'\n  Answer there, or: perennial approve {model} --why "...", or reject in place of approve.'
        )


def _is_of(task: dict[str, Any], run: dict[str, Any]) -> bool:
    return all(task[name] == run[name] for name in ("dag_id", "dag_run_id"))


def _ill(airflow: Airflow) -> Iterator[str]:
    for part, health in airflow.get("/monitor/health").items():
        if isinstance(health, dict) and health.get("status") == "unhealthy":
            yield f"Airflow's {part.replace('_', ' ')} is not healthy."


def _not_imported(airflow: Airflow) -> Iterator[str]:
    for error in airflow.every("/importErrors", "import_errors"):
        yield f"Airflow cannot read {error['filename']}: {fact_of(error['stack_trace'])}"


def _failed(airflow: Airflow, dags: list[dict[str, Any]], only: str | None) -> Iterator[FailedNewest]:
    """The DAGs whose newest run that ended has failed, but for a quarantined batch alone: the ledger says
    whether that still waits for a person.
    """
    for dag_id in (dag["dag_id"] for dag in dags):
        family, _, name = dag_id.partition("_")
        if family not in WATCHED or (only and family != "ingest" and name != only):
            continue
        newest = airflow.get(f"/dags/{dag_id}/dagRuns", state=ENDED, order_by="-id", limit=1)["dag_runs"]
        if not newest or newest[0]["state"] != "failed":
            continue
        found = failures(airflow, dag_id, newest[0]["dag_run_id"])
        if code_of(found) != QUARANTINED:
            run_id = newest[0]["dag_run_id"]
            why = f"The newest run of {dag_id} failed: {why_failed(found)}. {airflow.page(dag_id, run_id)}"
            yield FailedNewest(dag_id, run_id, datetime.fromisoformat(newest[0]["run_after"]), why)


def _untold(airflow: Airflow, dags: list[dict[str, Any]]) -> Iterator[str]:
    """That alerts cannot be sent: by the newest look of a minute, whose task for that is skipped where no
    channel is set.
    """
    for dag_id in {dag["dag_id"] for dag in dags} & {ALERTS_DAG}:
        newest = airflow.get(f"/dags/{dag_id}/dagRuns", state=ENDED, order_by="-id", limit=1)["dag_runs"]
        if newest and newest[0]["state"] == "failed":
            page = airflow.page(dag_id, newest[0]["dag_run_id"])
            for each in failures(airflow, dag_id, newest[0]["dag_run_id"]):
                if each.task == ALERTS_TASK:
                    yield f"Alerts or the heartbeat cannot be sent: {each.why}. {page}"


def failures(airflow: Airflow, dag_id: str, run_id: str) -> list[Failure]:
    """The tasks of a run that failed, in the order in which they started."""
    tasks = [task for task in airflow.tasks(dag_id, run_id) if task["state"] == "failed"]
    return [_failure(airflow, task) for task in tasks]


def why_failed(found: list[Failure]) -> str:
    """Which tasks failed, and what each said; without a full stop."""
    return "; ".join(f"{each.task}: {each.why}" for each in found) or "no task of it did"


def code_of(found: list[Failure]) -> int:
    """The exit code for a run that failed: what failed first says it, before any quarantined batch."""
    codes = [each.code for each in found]
    return next((code for code in codes if code != QUARANTINED), codes[0] if codes else FAULT)


def _failure(airflow: Airflow, task: dict[str, Any]) -> Failure:
    """The sentence that a task ended with, as its log has it."""
    name, quarantined = task["task_id"], task["task_id"] == REPORTS_QUARANTINED
    place = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{name}"
    try:
        lines = airflow.get(f"{place}/logs/{task['try_number']}", full_content=True)["content"]
    except PerennialError as error:
        return Failure(name, f"its log cannot be read ({error})", QUARANTINED if quarantined else FAULT)
    faults = [fault for line in lines if isinstance(line, dict) for fault in line.get("error_detail") or ()]
    said = [fault["exc_value"] for fault in faults if fault.get("exc_value")]
    codes = [FAILED_WITH[fault["exc_type"]] for fault in faults if fault.get("exc_type") in FAILED_WITH]
    return Failure(
        task=name,
        why=str(said[-1]).strip().rstrip(".") if said else "its log says why",
        code=QUARANTINED if quarantined else next(reversed(codes), FAULT),
    )
