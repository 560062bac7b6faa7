"""The tasks that change a Cloud Run service; each may be tried again at any point."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from airflow.sdk import BaseOperator, Context

from plugins.failures import StepInvalid, StepRefused
from plugins.runners.connections import google_not_installed
from plugins.triggers.cloud_run import CloudRunTrigger
from tasks.contracts import CloudRunDecision, CloudRunPlan, CloudRunSeen
from tasks.errors import ServingError
from tasks.release.cloud_run.history import newest
from tasks.release.cloud_run.told import told_of

LATER = timedelta(minutes=5)
"""After the trigger's own deadline, Airflow ends a task whose trigger does not answer."""
TRAFFIC_SECONDS = 300.0

What = Literal["revision", "traffic"]


class _Changing(BaseOperator):
    """Change a service, wait for it without a slot, and tell what was seen then."""

    def __init__(self, *, poll_seconds: float = 5.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.poll_seconds = poll_seconds

    def wait(self, plan: CloudRunPlan, what: What, seconds: float) -> None:
        """Let the triggerer wait; `end` is called then."""
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        trigger = CloudRunTrigger(plan.model_dump(mode="json"), what, until, self.poll_seconds)
        self.defer(trigger=trigger, method_name="end", timeout=timedelta(seconds=seconds) + LATER)


class OpenRevision(_Changing):
    """Give a service a revision that no request goes to; the XCom is what was seen of it, a `CloudRunSeen`.

    Args:
        plan: A `CloudRunPlan` as JSON; usually another task's output.
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's name
        """Make it, and wait until it is ready."""
        plan = CloudRunPlan.model_validate(self.plan)
        with google() as cloud:
            cloud(plan).open()
        self.wait(plan, "revision", plan.ready_seconds)

    def end(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - Airflow's names
        """Let a revision that is ready answer the version's example."""
        plan = CloudRunPlan.model_validate(self.plan)
        asked = _asked(plan, event["url"], event["audience"]) if event["state"] == "ready" else {}
        told = {name: event[name] for name in ("state", "said", "serving")}
        seen = CloudRunSeen.model_validate({**told, **asked})
        self.log.info("%s is %s: %s", plan.revision, seen.state, seen.said)
        return seen.model_dump(mode="json")


class MoveTraffic(_Changing):
    """Carry a decision out; the XCom is the percentage of the requests that each revision answers then.

    Args:
        decision: A `CloudRunDecision` as JSON; usually another task's output.
    """

    template_fields: Sequence[str] = ("decision",)

    def __init__(self, *, decision: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decision = decision

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's name
        """Move it, where no later decision was made.

        The service is read before the ledger: a change in between, of another decision, makes Google refuse
        this one.
        """
        decision = CloudRunDecision.model_validate(self.decision)
        plan = decision.plan
        with google() as cloud:
            service = cloud(plan)
            before = service.read()
            _require_newest(decision)
            service.move(before, to_plan=decision.verdict == "move")
        self.wait(plan, "traffic", TRAFFIC_SECONDS)

    def end(self, context: Context, event: dict[str, Any]) -> dict[str, int]:  # noqa: ARG002 - Airflow's names
        """Tell what answers now; the step after this holds it against the decision."""
        self.log.info("%s", event["said"])
        shares: dict[str, int] = event["serving"]
        return shares


@contextmanager
def google() -> Iterator[Any]:
    """`CloudRunService`, and sentences where Google says no for good.

    Raises:
        StepInvalid: The Google provider is not installed here, what was asked for is wrong, or the
            connection's account may not do it.
    """
    try:
        from google.api_core.exceptions import Forbidden, InvalidArgument, Unauthenticated

        from plugins.cloud_run.service import CloudRunService
    except ImportError as error:
        raise StepInvalid(str(google_not_installed(error))) from error
    try:
        yield CloudRunService
    except Forbidden as error:
        raise StepInvalid(
            f"The account of Airflow's connection google_cloud_default may not do this: {error.message} It "
            "needs the roles roles/run.developer, roles/iam.serviceAccountUser on the account that the "
            "revision runs as, and roles/secretmanager.secretAccessor on the token's secret."
        ) from error
    except Unauthenticated as error:
        raise StepInvalid(
            f"Google refuses Airflow's connection google_cloud_default: {error.message}"
        ) from error
    except InvalidArgument as error:
        raise StepInvalid(
            f"Cloud Run takes no such service: {error.message} Correct release.cloud_run of pipeline.yaml."
        ) from error


def _asked(plan: CloudRunPlan, url: str, audience: str) -> dict[str, Any]:
    from plugins.cloud_run.ask import Revision, ask_example, identity_token

    with google() as cloud:
        service = cloud(plan)
        token, identity = service.token(), identity_token(service.hook.get_credentials(), audience)
    try:
        return {"answer": ask_example(plan, Revision(url, token, identity))}
    except ServingError as error:
        return {"fault": str(error)}


def _require_newest(decision: CloudRunDecision) -> None:
    plan = decision.plan
    last = newest(told_of(plan.model), plan.service)
    if last is None or last.entry_hash != decision.ledger_hash:
        entry = f"entry {last.sequence} of the ledger" if last else "nothing that the ledger has"
        raise StepRefused(
            f"The traffic of {plan.service} is not moved by this run: a later decision, {entry}, counts."
        )
