"""With which error a task fails for good: its name in the task's log is the exit code, for who reads that.

`perennial` tells them apart (cli/runs.py), since Airflow keeps of a task that failed no more than its log.
"""

from airflow.sdk.exceptions import AirflowFailException

from tasks.errors import EXIT_INVALID, EXIT_NOTHING, EXIT_REFUSED


class StepRefused(AirflowFailException):
    """A check said no."""


class StepInvalid(AirflowFailException):
    """A file of the project, a setting, or what was asked for is wrong."""


class StepHadNothing(AirflowFailException):
    """The step found nothing to do."""


FINAL_FAILURES: dict[int, type[AirflowFailException]] = {
    EXIT_REFUSED: StepRefused,
    EXIT_INVALID: StepInvalid,
    EXIT_NOTHING: StepHadNothing,
}
"""By the exit code that ends a step for good; any other may pass by itself."""
