"""The operators of our DAGs: run a step through its contract, and start a training for a retrain ticket."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from pydantic import BaseModel, ValidationError

from plugins import attempts
from plugins.links import links_of
from plugins.runners import Runner, Step, runner
from tasks.errors import EXIT_INVALID, EXIT_REFUSED, InvalidProject
from tasks.requests import VERBS, Request
from tasks.spec import faults_of

Document = dict[str, Any]

RETRIES = {
    "retries": 2,
    "retry_delay": timedelta(seconds=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=1),
}


class StepOperator(BaseOperator):
    """Run one verb of `tasks` by the configured runner; its result is the XCom.

    A check that said no and a request that is wrong fail the task for good; everything else is tried again. A result that an
    earlier try left behind, because its worker died before Airflow heard of it, is taken instead of running twice.

    Args:
        verb: One of `tasks.requests.VERBS`.
        constants: Fields of the request that are known when the DAG is made: the specification, the table. Not rendered, since
            what looks like a template in them is none.
        inputs: Fields that other tasks or templates give.
        from_run: Looks at the run, its form values and times, and gives the remaining fields.
        model: Whose environment the step runs in; None for the common one.
        skip_because: Looks at the rendered inputs and says why there is nothing to do; None to go on.
        fail_because: Looks at the result and says why the task fails all the same; None to accept it.
    """

    template_fields: Sequence[str] = ("inputs",)
    template_fields_renderers = {"inputs": "json"}  # noqa: RUF012 - Airflow reads a plain class attribute
    ui_color = "#e8f4ea"

    def __init__(
        self,
        *,
        verb: str,
        constants: dict[str, BaseModel],
        inputs: Document | None = None,
        from_run: Callable[[Context], Document] | None = None,
        model: str | None = None,
        skip_because: Callable[[Document], str | None] | None = None,
        fail_because: Callable[[Document], str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.verb = verb
        self.constants = constants
        self.inputs = inputs or {}
        self.from_run = from_run
        self.model = model
        self.skip_because = skip_because
        self.fail_because = fail_because
        self.operator_extra_links = links_of(verb)
        self.outcome: Document = {}
        self._runner: Runner | None = None

    def execute(self, context: Context) -> Document:
        """Run the step, or take what an earlier try left, and return the result."""
        if self.skip_because and (reason := self.skip_because(self.inputs)):
            raise AirflowSkipException(reason)
        request = self._request(context)
        folder = Path(request.context.work_url)
        self.outcome = attempts.unheard(self.verb, request, folder) or self._run(request, folder)
        attempts.mark_heard(folder)
        if self.fail_because and (reason := self.fail_because(self.outcome)):
            raise AirflowFailException(reason)
        self.log.info("Result of %s: %s", self.verb, json.dumps(self.outcome, indent=2))
        return self.outcome

    def on_kill(self) -> None:
        """Stop the step: the task was cleared, marked, or timed out, or the worker shuts down."""
        if self._runner is not None:
            self._runner.stop()

    def _request(self, context: Context) -> Request:
        of_run = self.from_run(context) if self.from_run else {}
        fields = {**self.inputs, **of_run, **self.constants, "context": attempts.context_of(context["ti"])}
        try:
            return VERBS[self.verb][0].model_validate(fields)
        except ValidationError as error:
            faults = "; ".join(faults_of(error))
            raise AirflowFailException(
                f"The request of {self.verb!r} breaks its contract: {faults}. Correct these fields."
            ) from error

    def _run(self, request: Request, folder: Path) -> Document:
        files = attempts.begin(request, folder)
        step = Step(self.verb, files.request, files.result, self.model)
        try:
            self._runner = runner()
            code = self._runner.run(step, self.log.info)
        except InvalidProject as error:
            raise AirflowFailException(str(error)) from error
        if code == 0:
            return self._result(files)
        self.outcome = attempts.evidence(files)
        message = attempts.why(self.verb, code, files)
        raise (AirflowFailException if code in {EXIT_REFUSED, EXIT_INVALID} else AirflowException)(message)

    def _result(self, files: attempts.Files) -> Document:
        try:
            return attempts.result(self.verb, files)
        except FileNotFoundError as error:
            raise AirflowException(f"{self.verb!r} ended well but left no result in {files.result}.") from error
        except ValidationError as error:
            faults = "; ".join(faults_of(error))
            raise AirflowFailException(
                f"The result of {self.verb!r} in {files.result} breaks its contract: {faults}."
            ) from error


class StartTraining(TriggerDagRunOperator):
    """Start the training run that a retrain ticket grants; skipped where it grants none, or where the run exists already.

    Args:
        ticket: A `RetrainTicket` as JSON; usually another task's output.
    """

    template_fields: Sequence[str] = (*TriggerDagRunOperator.template_fields, "ticket")

    def __init__(self, *, ticket: Any, **kwargs: Any) -> None:
        super().__init__(skip_when_already_exists=True, logical_date=None, **kwargs)
        self.ticket = ticket

    def execute(self, context: Context) -> None:
        """Start the run and go on; nobody waits for it here."""
        if not self.ticket["granted"]:
            raise AirflowSkipException(self.ticket["reason"])
        self.trigger_run_id = self.ticket["train_run_id"]
        self.conf = {"reason": self.ticket["reason"]}
        self.note = self.ticket["reason"]
        super().execute(context)
