"""The tasks that keep the house: what was left behind, and what does not agree with the ledger."""

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import TriggerRule, XComArg, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from plugins.alerts import channels, send_what_is_due
from plugins.attempts import asking
from plugins.deadlines import AT_WORK
from plugins.forms import require_sound
from plugins.heartbeat import send_heartbeat
from plugins.janitor import sweep
from plugins.objectives import is_due, look_at_objectives
from plugins.reconciler import differing_models, give_back_unstarted, wanted, write_costs
from plugins.runners.connections import reach_store
from plugins.verbs import STEP_LIMIT, state_of, step
from tasks.errors import ServiceAway, ServingError
from tasks.monitoring.alerts import records
from tasks.monitoring.alerts.late import late_runs, note_ended
from tasks.monitoring.alerts.troubles import CHANNELS
from tasks.monitoring.loop.beats import beat
from tasks.release import agreement
from tasks.settings import settings

log = logging.getLogger(__name__)


def remove_left_behind() -> XComArg:
    """Remove the steps that their workers left behind."""

    @task(task_id="remove_left_behind", retries=0, execution_timeout=STEP_LIMIT)
    def remove() -> list[str]:
        require_sound(get_current_context())
        return sweep(state_of)

    return remove()


def look_for_mismatches() -> XComArg:
    """Look whether what is there agrees with the ledger, and each fifth minute at the models' objectives;
    skipped, with what follows, where all agrees. After a run that failed the next ones look as closely as the
    one of an hour, so that a run which succeeds says that it is over.
    """

    @task(task_id="look", multiple_outputs=True, retries=0, execution_timeout=STEP_LIMIT)
    def look() -> dict[str, Any]:
        run = get_current_context()
        require_sound(run)
        reach_store()
        give_back_unstarted(_is_known, asking(run).actor)
        write_costs(asking(run).actor)
        is_failing = _is_failing(run["dag"].dag_id)
        try:
            models = differing_models()
        except (ServiceAway, ServingError) as away:
            if is_failing:  # what nobody could look at is not over
                raise
            raise AirflowSkipException(f"{away} It is looked at again in a minute.") from away
        _look_at_objectives(run["dag_run"])
        run_type, run_after = run["dag_run"].run_type, run["dag_run"].run_after
        asked = wanted(models, run_type, run_after, is_failing=is_failing)
        if asked is None:
            raise AirflowSkipException("All agrees with the ledger.")
        return asked

    return look()


def send_alerts() -> XComArg:
    """Tell the channels of the settings what is new, changed, over or there for long; skipped without one.

    Here and not where each thing is decided: what a process that was killed has not told, the next look of a
    minute tells, and what was told is written down, so that to clear the task tells nothing twice.

    It is the loop's sign of life, too: for `loop-watch` in the database, and for a service elsewhere.
    """

    @task(task_id="send_alerts", retries=0, execution_timeout=STEP_LIMIT)
    def send() -> list[str]:
        beat(datetime.now(UTC))
        _name_failed_tasks()
        _forget_ended_trainings()
        try:
            if not settings().alerts:
                raise AirflowSkipException(
                    "PERENNIAL_ALERTS names no channel: `perennial status` lists alerts."
                )
            return send_what_is_due(channels())
        finally:
            send_heartbeat(datetime.now(UTC))

    return send()


def settle_mismatches(looked: XComArg) -> XComArg:
    """Carry on or undo what does not agree with the ledger."""
    return step("reconcile", {}, {"models": looked["models"], "thorough": looked["thorough"]})


def fail_by_faults(settled: XComArg, after: XComArg) -> None:
    """Fail by what could not be settled, once the releases that were handed over are started; skipped where
    there was nothing to settle.
    """

    @task(task_id="faults", trigger_rule=TriggerRule.NONE_FAILED, execution_timeout=STEP_LIMIT)
    def fail(result: dict[str, Any] | None) -> None:
        if result is None:
            raise AirflowSkipException("There was nothing to settle.")
        if result["faults"]:
            raise AirflowFailException(" ".join(result["faults"]))
        agreement.note_settled()

    after >> fail(settled)


def _look_at_objectives(run: Any) -> None:
    """What serves is settled whether or not it can be counted: a fault is in the log, the figures stay those
    of the last look and say so, and Prometheus' alerts miss the look.
    """
    if is_due(run.run_type, run.run_after):
        try:
            look_at_objectives()
        except Exception:
            log.exception("The objectives could not be looked at; it is tried again in five minutes.")


def _is_known(dag_id: str, run_id: str) -> bool:
    """Whether Airflow has a run."""
    return int(get_current_context()["ti"].get_dr_count(dag_id=dag_id, run_ids=[run_id])) > 0


def _is_failing(dag_id: str) -> bool:
    """Whether the newest run of a DAG failed, by more than a channel that takes no alert."""
    _name_failed_tasks()
    return any(each.dag_id == dag_id and set(each.tasks) != CHANNELS for each in records.failed_runs())


def _forget_ended_trainings() -> None:
    """Forget the late trainings that Airflow has no longer at work: the listener is not asked where a run is
    deleted, and comes too early where a run ends in the moment in which it becomes late.
    """
    ti = get_current_context()["ti"]
    for late in late_runs():
        if ti.get_dr_count(dag_id=late.dag_id, run_ids=[late.run_id], states=sorted(AT_WORK)) == 0:
            note_ended(late.dag_id, late.run_id)


def _name_failed_tasks() -> None:
    """Note which tasks failed of each failed run of the loop, as Airflow knows them."""
    ti = get_current_context()["ti"]
    for run in records.failed_runs():
        if not run.tasks:
            states = ti.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
            records.note_tasks(run, [task for task, state in states.items() if state == "failed"])
