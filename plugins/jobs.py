"""One try's dealings with its step: start it or find it,
follow it, take its end, and leave nothing of it where it ran.
"""

import contextlib
import hashlib
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRuntimeError
from pydantic import ValidationError

from plugins import attempts
from plugins.attempts import Files
from plugins.failures import FINAL_FAILURES
from plugins.live_curves import curves_shown
from plugins.runners import Ended, Owner, Resources, Runner, State, Step, WorkerLost
from tasks.contracts import Request
from tasks.settings import settings
from tasks.spec import PipelineSpec, faults_of

Document = dict[str, Any]

SEEN_KEY = "log_seen"
SEEN_EVERY_SECONDS = 5.0
AFTER_TIMEOUT_SECONDS = 300
AS_THE_TRAINING = frozenset({"preflight", "train", "reproduce"})
LONGEST = timedelta(days=1)


@dataclass
class StepJob:
    """A step and the try that runs it.

    Attributes:
        memory: Airflow's state store of the task, which outlives its tries.
        holder: The name of this try.
        outcome: The result, or the evidence of a failure.
    """

    runner: Runner
    step: Step
    request: Request
    files: Files
    memory: Any
    holder: str
    log: logging.Logger
    outcome: Document
    _seen_at: float = 0.0

    def left_unheard(self) -> Document | None:
        """The result of an earlier try that Airflow did not
        hear of; None while what made it is there, with its log.
        """
        found = attempts.unheard(self.step.verb, self.request, self.files)
        if found is None or not self.runner.outlives:
            return found
        if self.runner.state(self.step.name, self.step) != "gone":
            return None
        self.runner.remove(self.step.name)
        return found

    def submit(self) -> str:
        """Start the step or find it; it is this try's from now on."""
        return self.runner.submit(self.step, self._begin)

    def _begin(self) -> None:
        attempts.begin(self.request, self.files)

    def state(self, job: str) -> State:
        return self.runner.state(job, self.step)

    def follow(self, job: str) -> Document:
        """Pass on the step's log until it ends, and return its result.

        Raises:
            StepRefused, StepInvalid, StepHadNothing, AirflowFailException: It failed, and would fail again.
            AirflowException: It failed, and may not fail again.
            WorkerLost: This try is no longer the one that follows the step.
        """
        if self.runner.outlives:
            attempts.hold(self.files, self.holder)
        with curves_shown(self.step.verb, self.files.curves, self.memory, self.log):
            ended = self.runner.follow(
                job, self.step, self.log.info, self._since(job), lambda stamp: self._remember(job, stamp)
            )
        self.require_held()
        code = attempts.exit_code_of(self.files) if ended.code is None else ended.code
        try:
            return self._result() if code == 0 else self._fail(code, ended)
        finally:
            self.runner.remove(job)

    def require_held(self) -> None:
        """Go on only while no other try follows the step.

        Raises:
            WorkerLost: Another one does.
        """
        if not self.held():
            raise WorkerLost("Another worker follows this step by now: Airflow had given this try up.")

    def held(self) -> bool:
        return not self.runner.outlives or attempts.holder_of(self.files) in {self.holder, None}

    def stop(self) -> None:
        """End the step early, unless another try follows it. Where that cannot be found out, it is ended."""
        held = True
        with contextlib.suppress(OSError):
            held = self.held()
        if held:
            self.runner.stop()

    def _fail(self, code: int, ended: Ended) -> Document:
        self.outcome = attempts.evidence(self.files)
        message = attempts.why(self.step.verb, code, self.files, ended.why)
        other = AirflowFailException if ended.final else AirflowException
        raise FINAL_FAILURES.get(code, other)(message)

    def _result(self) -> Document:
        verb, file = self.step.verb, self.files.result
        try:
            self.outcome = attempts.result(verb, self.files)
        except FileNotFoundError as error:
            raise AirflowException(f"{verb!r} ended well but left no result in {file}.") from error
        except ValidationError as error:
            faults = "; ".join(faults_of(error))
            raise AirflowFailException(
                f"The result of {verb!r} in {file} breaks its contract: {faults}."
            ) from error
        return self.outcome

    def _since(self, job: str) -> str | None:
        """The last line of this job that a try has passed on."""
        found = self.memory.get(SEEN_KEY) if self.runner.outlives and self.memory is not None else None
        return found["at"] if isinstance(found, dict) and found.get("job") == job else None

    def _remember(self, job: str, stamp: str) -> None:
        """Now and then: lines that came since would be repeated
        after a loss of the worker, none would be missing.
        """
        if self.memory is None or time.monotonic() - self._seen_at < SEEN_EVERY_SECONDS:
            return
        self._seen_at = time.monotonic()
        with contextlib.suppress(AirflowRuntimeError):
            self.memory.set(SEEN_KEY, {"job": job, "at": stamp})


def step_of(
    verb: str, request: Request, files: Files, ti: Any, *, model: str | None, limit: timedelta | None
) -> Step:
    """A step as a runner takes it.

    Args:
        ti: Airflow's running task instance.
        limit: The task's execution timeout.
    """
    return Step(
        verb=verb,
        request_url=str(files.request),
        result_url=str(files.result),
        model=model,
        key=request.context.step_key,
        request_sha256=hashlib.sha256(attempts.text_of(request).encode()).hexdigest(),
        owner=Owner(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number),
        resources=resources_of(verb, getattr(request, "spec", None)),
        deadline=time.time() + (limit or LONGEST).total_seconds() + AFTER_TIMEOUT_SECONDS,
    )


def resources_of(verb: str, spec: PipelineSpec | None) -> Resources:
    """The model's own for its training, and for the look at
    where that will run; the settings' for every other step.
    """
    if verb in AS_THE_TRAINING and spec is not None:
        return Resources(**spec.resources.model_dump())
    place = settings()
    return Resources(place.step_cpus, place.step_memory_mib, place.step_scratch_mib)
