"""The tasks of the DAGs that a person starts with a form: what is decided by hand, and why."""

from typing import Any

from airflow.sdk import Context, XComArg, task

from plugins.operators import StartTraining
from plugins.verbs import step


def roll_back() -> XComArg:
    """Send the requests of the model that the form names back to the version that served before."""
    return _asked("rollback", "model", "reason", "leaving", "environment")


def decide_batch() -> XComArg:
    """Release the batch that the form names from quarantine, or confirm that it is never trained on."""
    return _asked("decide_batch", "model", "batch_id", "decision", "reason")


def decide_sender() -> XComArg:
    """Release what is held of the sender that the form names, or confirm that it is never trained on."""
    return _asked("decide_sender", "model", "sender", "decision", "day", "held_for", "reason")


def answer_label_incident() -> XComArg:
    """Write down what the form says of the labels of the model that it names."""
    return _asked("label_incident", "model", "answer", "reason")


def close_breaker() -> XComArg:
    """Let the model that the form names be retrained by itself again."""
    return _asked("close_breaker", "model", "reason")


def withdraw() -> XComArg:
    """Serve the model that the form names no longer; its records stay."""
    return _asked("withdraw", "model", "reason")


def recall_batch() -> XComArg:
    """Leave the batches that the form names out of every later training; ask for trainings without them."""
    return _asked("recall", "batch_ids", "table", "reason")


def explain() -> XComArg:
    """Say why, of what the form names, and write the auditors' page."""
    return _asked("explain", "subject")


def silence() -> XComArg:
    """Silence the alerts that the form names, or end that."""
    return _asked("silence", "model", "of", "days", "reason")


def show_triggers() -> XComArg:
    """What may start a training of the models that the form names, or of all."""

    def models(run: Context) -> dict[str, Any]:
        return {"models": [name] if (name := run["params"]["model"]) else []}

    return step("triggers", {}, from_run=models)


def start_trainings(recalled: XComArg) -> None:
    """Start each training that a recall was granted; skipped where there is none."""

    @task(task_id="tickets")
    def tickets(result: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"trigger_dag_id": f"train_{ticket['model']}", "ticket": ticket} for ticket in result["tickets"]
        ]

    StartTraining.partial(task_id="start_training").expand_kwargs(tickets(recalled))


def _asked(verb: str, *names: str) -> XComArg:
    """A step that is asked for what these fields of the form say."""

    def fields(run: Context) -> dict[str, Any]:
        return {name: run["params"][name] for name in names}

    return step(verb, {}, from_run=fields)
