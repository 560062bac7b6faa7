"""Let any DAG wait for a verdict of a model's drift check."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, get_args

from airflow.sdk import BaseSensorOperator, Context
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from plugins.failures import StepInvalid
from plugins.triggers.drift import DriftTrigger
from tasks.contracts import Action, DriftDecision
from tasks.ledger import entries
from tasks.ledger.awaited import first_since, outcomes_since
from tasks.settings import settings

VERDICTS: tuple[str, ...] = get_args(DriftDecision.model_fields["verdict"].annotation)

LATER = timedelta(minutes=5)
"""After the trigger's own deadline, Airflow ends a task whose trigger does not answer."""


class DriftSensor(BaseSensorOperator):
    """Wait until the drift check of a model says one of `verdicts`; its XCom is the `DriftDecision`, with
    `entry`, the number of the ledger's entry.

    It waits in the triggerer and holds no slot. The ledger is asked, so that it does not matter which run of
    the check it was, nor who started it.

    Args:
        model: Its name.
        verdicts: Those that are waited for (`tasks.contracts.DriftDecision` says what each means); empty for
            any, that is for the next check.
        since: A time (with a zone) or the number of an entry in the ledger: only a verdict after it counts.
            None for the beginning of the DAG run. May be a template.
        poll_interval: Seconds between two looks into the ledger.
        kwargs: Airflow's own. `timeout` is counted from the start of the task (a week where it is not said);
            with `soft_fail` the task is skipped when it is over.
    """

    template_fields: Sequence[str] = ("model", "since")

    def __init__(
        self,
        *,
        model: str,
        verdicts: Sequence[str] = (),
        since: datetime | int | str | None = None,
        poll_interval: float = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(verdicts, str) or (unknown := sorted(set(verdicts) - set(VERDICTS))):
            wrong = repr(verdicts) if isinstance(verdicts, str) else ", ".join(unknown)
            raise ValueError(f"verdicts: {wrong} is none. Give some of {', '.join(VERDICTS)} in a tuple.")
        self.model = model
        self.verdicts = tuple(verdicts)
        self.since = since
        self.poll_interval = poll_interval

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Give the decision that is there already, else wait for it in the triggerer.

        Raises:
            StepInvalid: There is no such model, or no such time.
        """
        _require_model(self.model)
        since = _since(self.since, context)
        found = first_since(self.model, Action.DRIFT, self.verdicts, since)
        if found is not None:
            return _decision(found.entry_hash)
        wait = timedelta(seconds=self.timeout)
        given = since if isinstance(since, int) else since.isoformat()
        trigger = DriftTrigger(
            model=self.model,
            verdicts=list(self.verdicts),
            since=given,
            deadline=(datetime.now(UTC) + wait).isoformat(),
            poll_seconds=self.poll_interval,
        )
        self.defer(trigger=trigger, method_name="end", timeout=wait + LATER)
        return None

    def end(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - Airflow's names
        """Give the decision that came, or say what came instead.

        Raises:
            AirflowSensorTimeout: None came in time.
            AirflowSkipException: The same, with `soft_fail`.
        """
        if event["entry_hash"]:
            return _decision(event["entry_hash"])
        told = self._too_late(event["since"])
        self.log.info(told)
        raise AirflowSkipException(told) if self.soft_fail else AirflowSensorTimeout(told)

    def _too_late(self, since: str | int) -> str:
        wanted = f"said {' or '.join(self.verdicts)}" if self.verdicts else "ended"
        after = since if isinstance(since, int) else datetime.fromisoformat(since)
        said = outcomes_since(self.model, Action.DRIFT, after)
        instead = f"Its checks said {', '.join(said)}." if said else "There was none."
        return (
            f"No drift check of {self.model} {wanted} within {self.timeout:g} s. {instead} The DAG "
            f"drift_{self.model} makes them: look whether it is switched on, or give a longer timeout."
        )


def _decision(entry_hash: str) -> dict[str, Any]:
    entry = entries.find(entry_hash)
    if entry is None:
        raise StepInvalid(
            f"The ledger's entry {entry_hash} was changed or removed: perennial ledger --verify."
        )
    return {**entry.evidence["decision"], "ledger_hash": entry.entry_hash, "entry": entry.sequence}


def _since(given: datetime | int | str | None, context: Context) -> datetime | int:
    if given is None or given == "":
        run = context["dag_run"]
        began: datetime = run.start_date or run.run_after
        return began
    if isinstance(given, str):
        try:
            given = int(given) if given.strip().isdecimal() else datetime.fromisoformat(given)
        except ValueError as error:
            raise StepInvalid(
                f"since is {given!r}: give a time with its zone, such as 2026-11-28T04:00:00Z, or the number "
                "of an entry in the ledger."
            ) from error
    if isinstance(given, datetime) and given.tzinfo is None:
        raise StepInvalid(f"since is {given.isoformat()}, a time without a zone: add one, such as Z.")
    return given


def _require_model(model: str) -> None:
    """Refuse a name that neither the project nor the ledger has, naming the nearest one."""
    known = {path.parent.name for path in settings().models.glob("*/pipeline.yaml")}
    if model in known or model in entries.models([Action.DRIFT]):
        return
    nearest = get_close_matches(model, known, n=1, cutoff=0.5)
    meant = f"Do you mean {nearest[0]}?" if nearest else f"There are: {', '.join(sorted(known)) or 'none'}."
    raise StepInvalid(f"There is no model {model!r}, so its drift check is waited for in vain. {meant}")
