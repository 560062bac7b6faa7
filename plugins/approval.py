"""A person is asked where the drift check does not decide by itself.

By Airflow's own operator for that, which holds no slot while it waits.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException
from croniter import croniter

from plugins.forms import require_sound
from tasks.spec.cron import as_croniter_takes

APPROVE, REJECT = "Approve", "Reject"
BEFORE_THE_NEXT = timedelta(minutes=1)


class AskPerson(HITLOperator):
    """Ask whether the model is trained where a drift decision says `ask`; go on at once where it says
    `retrain`, skip what follows where it says anything else.

    The answer, either way, is the XCom, as an `Approval`: who said what and why is for the ledger. A question
    that nobody has answered lapses before the next check is due, which would else wait for it: the next check
    asks anew.

    Args:
        decision: A `DriftDecision` as JSON; usually another task's output.
        schedule: When the checks are due; a cron expression, in UTC.
    """

    template_fields: Sequence[str] = ("subject", "body", "decision")

    def __init__(self, *, decision: Any, schedule: str, **kwargs: Any) -> None:
        super().__init__(options=[APPROVE, REJECT], defaults=REJECT, **kwargs)
        self.decision = decision
        self.schedule = schedule

    def execute(self, context: Context) -> Any:
        """Ask, or see that nothing is to be asked."""
        require_sound(context)
        verdict, why = self.decision["verdict"], self.decision["why"]
        if verdict == "retrain":
            return None
        if verdict != "ask":
            raise AirflowSkipException(why)
        now = datetime.now(UTC)
        self.response_timeout = until_the_next(self.schedule, now)
        self.body = f"{why}\n\n{what_waits(now + self.response_timeout)}"
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """What the person said."""
        said = super().execute_complete(context, event)
        user, why = said["responded_by_user"], said["params_input"].get("why")
        return {
            "approved": said["chosen_options"] == [APPROVE] and user is not None,
            "by": user["name"] if user else None,
            "at": said["responded_at"].isoformat(),
            "why": (why or "").strip(),
        }


def what_waits(until: datetime) -> str:
    """What an open question keeps from running: the DAG has one run at a time, so that there is one training
    for one change.
    """
    return (
        f"Until this is answered, or lapses at {until:%Y-%m-%d %H:%M} UTC, other checks of this model stay "
        "queued, also those that somebody starts by hand."
    )


def until_the_next(schedule: str, now: datetime) -> timedelta:
    """How long a question may wait: until shortly before the next check is due, a minute at least."""
    due: datetime = croniter(as_croniter_takes(schedule), now).get_next(datetime)
    return max(due - now - BEFORE_THE_NEXT, BEFORE_THE_NEXT)
