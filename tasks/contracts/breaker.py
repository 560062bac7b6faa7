"""What is asked of a model's circuit breaker, which stops retrains that come to nothing, and what is said."""

from tasks.contracts.contract import Contract
from tasks.contracts.release import WithReason


class CloseBreakerRequest(WithReason):
    """A person has looked why the retrains of a model came to nothing: it may be retrained again."""


class ClosedBreaker(Contract):
    """The breaker that was closed.

    Attributes:
        failures: How many retrains in a row had come to nothing.
        trainings: Their Airflow runs, the newest first.
    """

    model: str
    failures: int
    trainings: tuple[str, ...]
    ledger_hash: str
