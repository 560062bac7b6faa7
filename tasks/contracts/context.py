"""Who asks a step, and what every request carries."""

from tasks.contracts.contract import Contract


class StepContext(Contract):
    """Who asks.

    Attributes:
        actor: What the ledger names as the decider, for example
            `airflow:train_review_sentiment/manual__2026-…/gate, asked for by ann`.
        step_key: DAG, run, task and map index: the same for every try of one task.
        work_url: A folder of the step's own, where it keeps its reports and intermediate files.
        code_commit: The commit that the run's DAG came from; None where that is not known, as in a plain
            folder.
    """

    actor: str
    step_key: str
    work_url: str
    code_commit: str | None = None

    @property
    def run_key(self) -> str:
        """DAG and run: the same for every task of one run."""
        return "/".join(self.step_key.split("/")[:2])


class Request(Contract):
    context: StepContext
