"""The operators of our DAGs: run a step through its contract, and start a training for a retrain ticket."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.models.xcom import XCOM_RETURN_KEY
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from pydantic import BaseModel, ValidationError

from plugins import attempts
from plugins.failures import FINAL_FAILURES, StepHadNothing, StepInvalid, StepRefused
from plugins.forms import require_sound
from plugins.jobs import StepJob, step_of
from plugins.pages.links import links_of
from plugins.runners import EngineFault, Runner, not_installed, runner
from plugins.runners.connections import reach_store
from tasks.contracts import Request
from tasks.errors import PerennialError
from tasks.settings import settings
from tasks.spec import faults_of
from tasks.step import exit_code
from tasks.stores.faults import explain
from tasks.verbs import VERBS

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

Document = dict[str, Any]

BY_CLOCK, BY_DATA = "scheduled", "asset_triggered"
"""The types of runs that nobody asked for."""
BY_TASK = "operator_triggered"
"""The type of runs that a task of another run started."""

RETRIES = {
    "retries": 2,
    "retry_delay": timedelta(seconds=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=1),
}


class StepOperator(BaseOperator):
    """Run one verb of `tasks` by the configured runner; its result is the XCom.

    A check that said no and a request that is wrong fail the task for good; everything else is tried again. A
    step that finds nothing to do skips what follows where nobody asked for the run, and else fails too. A
    result that an earlier try left behind, because its worker died before Airflow heard of it, is taken
    instead of running twice; so is a step that still runs where it outlives its worker: it is found by its
    name, which no other step has. Airflow's resumable operators keep what they started in its state store
    instead, and lose it when their worker dies before that is written.

    Args:
        verb: One of `tasks.verbs.VERBS`.
        constants: Fields of the request that are known when the DAG is made: the specification, the table.
            Not rendered, since what looks like a template in them is none.
        inputs: Fields that other tasks or templates give.
        from_run: Looks at the run, its form values and times, and gives the remaining fields.
        model: Whose environment the step runs in; None for the common one.
        skip_because: Looks at the rendered inputs and says why there is nothing to do; None to go on.
        fail_because: Looks at the result and says why the task fails all the same; None to accept it.
        decided: Looks into the folder of a step that failed and gives what it had decided before: the task's
            XCom all the same, for the tasks behind it that run when it is done, well or not.
    """

    template_fields: Sequence[str] = ("inputs",)
    template_fields_renderers = {"inputs": "json"}  # noqa: RUF012 - Airflow reads a plain class attribute
    ui_color = "#e8f4ea"

    def __init__(  # noqa: PLR0913 - each says one thing of the step, by its name
        self,
        *,
        verb: str,
        constants: dict[str, BaseModel],
        inputs: Document | None = None,
        from_run: Callable[[Context], Document] | None = None,
        model: str | None = None,
        skip_because: Callable[[Document], str | None] | None = None,
        fail_because: Callable[[Document], str | None] | None = None,
        decided: Callable[[str], Document] | None = None,
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
        self.decided = decided
        self.operator_extra_links = links_of(verb)
        self.outcome: Document = {}
        self._job: StepJob | None = None

    def execute(self, context: Context) -> Document:
        """Run the step, or take what an earlier try left, and return the result."""
        require_sound(context)
        if self.skip_because and (reason := self.skip_because(self.inputs)):
            raise AirflowSkipException(reason)
        try:
            job = self._job = self._job_of(context)
            self.outcome = job.left_unheard() or job.follow(job.submit())
            attempts.mark_heard(job.files)
        except StepHadNothing as nothing:
            if context["dag_run"].run_type in {BY_CLOCK, BY_DATA}:
                raise AirflowSkipException(str(nothing)) from nothing
            raise
        except Exception as error:
            self._tell_what_was_decided(context)
            if (told := _as_airflow_error(error)) is error:
                raise
            raise told from error
        finally:
            self.outcome = self.outcome or (self._job.outcome if self._job else {})
        if self.fail_because and (reason := self.fail_because(self.outcome)):
            raise StepRefused(reason)
        self.log.info("Result of %s: %s", self.verb, json.dumps(self.outcome, indent=2))
        return self.outcome

    def _tell_what_was_decided(self, context: Context) -> None:
        if self.decided and self._job is not None:
            context["ti"].xcom_push(
                key=XCOM_RETURN_KEY, value=self.decided(self._job.request.context.work_url)
            )

    def on_kill(self) -> None:
        """Stop the step: the task was cleared, marked, or timed out, or the worker shuts down."""
        if self._job is not None:
            self._job.stop()

    def get_openlineage_facets_on_complete(self, _ti: Any) -> "OperatorLineage":
        """What the step read and wrote, for the event of this task, also of one that failed.

        Airflow's provider asks, where OpenLineage is switched on.
        """
        from airflow.providers.openlineage.extractors import OperatorLineage

        from plugins.lineage import Places, lineage_of

        if self._job is None:
            return OperatorLineage()
        told = lineage_of(self.verb, self._job.request, self.outcome, Places.of(settings()))
        return OperatorLineage(**vars(told))

    def runner(self) -> Runner:
        """What runs the step of this try."""
        return runner()

    def _job_of(self, context: Context) -> StepJob:
        """The step of this try.

        The store's connection, where Airflow has one, is for this process and the step alike.
        """
        reach_store()
        ti, request = context["ti"], self._request(context)
        files = attempts.Files.of(request.context.work_url)
        step = step_of(self.verb, request, files, ti, model=self.model, limit=self.execution_timeout)
        memory = context.get("task_state_store")
        return StepJob(
            self.runner(), step, request, files, memory, holder=str(ti.id), log=self.log, outcome={}
        )

    def _request(self, context: Context) -> Request:
        of_run = self.from_run(context) if self.from_run else {}
        fields = {**self.inputs, **of_run, **self.constants, "context": attempts.asking(context)}
        try:
            return VERBS[self.verb].request.model_validate(fields)
        except ValidationError as error:
            faults = "; ".join(faults_of(error))
            raise StepInvalid(
                f"The request of {self.verb!r} breaks its contract: {faults}. Correct these fields."
            ) from error


def step_operator() -> type[StepOperator]:
    """The operator of the runner that the settings name: where
    steps are containers, it is one of Airflow's Docker operators.

    A pod is not one of Airflow's pod operators: importing that costs seconds, in every parse of every DAG
    file.

    Raises:
        InvalidProject: What the runner needs is not installed here.
    """
    if settings().runner != "docker":
        return StepOperator
    try:
        from plugins.runners.docker.operator import DockerStepOperator
    except ImportError as error:
        raise not_installed("docker", error) from error
    return DockerStepOperator


def _as_airflow_error(error: Exception) -> Exception:
    """A fault that we can explain, as Airflow's own, final or tried again; any other as it is."""
    told = error if isinstance(error, AirflowException) else explain(error) or error
    if not isinstance(told, PerennialError | EngineFault):
        return error
    airflow_s: type[Exception] = FINAL_FAILURES.get(exit_code(told), AirflowException)
    return airflow_s(str(told))


def hindrance(context: Context, dag_id: str) -> str | None:
    """Why a run of the DAG would wait instead of starting; None where it would not."""
    if not context["ti"].get_dag(dag_id).is_paused:
        return None
    return f"The DAG {dag_id} is paused, so its training would not start. Switch it on and ask again."


class StartTraining(TriggerDagRunOperator):
    """Start the training run that a retrain ticket grants; skipped where it grants none, where the run
    exists already, where its request is closed, and where its DAG was paused meanwhile, which closes it.

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
        self._require_open(context)
        self.trigger_run_id = self.ticket["train_run_id"]
        self.conf = {"reason": self.ticket["reason"]}
        self.note = self.ticket["reason"]
        super().execute(context)

    def _require_open(self, context: Context) -> None:
        from tasks.monitoring.closing import close_unstarted
        from tasks.monitoring.retrain import is_open

        request = (self.ticket["model"], self.ticket["train_run_id"])
        if not is_open(*request):
            raise AirflowSkipException(
                f"The request that granted {request[1]} is closed, so another training may have been granted "
                "since. Clear the task that made the ticket: it asks anew."
            )
        if why := hindrance(context, self.trigger_dag_id):
            reach_store()
            close_unstarted(*request, why=why, actor=attempts.asking(context).actor)
            raise AirflowSkipException(why)
