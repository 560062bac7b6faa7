"""A person is asked before a stage of a release, with what was found beside the question."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from plugins.approval import APPROVE, REJECT
from tasks.spec.release import ApprovalSpec


class AskBeforeStage(HITLOperator):
    """Ask whether a release goes on; the answer, either way, is the XCom, as an `Approval`.

    It waits in the triggerer and holds no slot. Where nobody answers in time, what the specification declares
    counts; the next step writes that down with the answer, name and time.

    Args:
        approval: How long the question waits, and what counts then.
        acceptance: An `Acceptance` as JSON; usually another task's output.
        decision: The `StageDecision` of the stage before as JSON; None before the first.
        asked_of: Of which versions: `first` of one that goes through no stages, because nothing serves of its
            model or it serves itself and gets other settings; `next` of one that does; `any` of both.
    """

    template_fields: Sequence[str] = ("subject", "body", "acceptance", "decision")

    def __init__(
        self,
        *,
        approval: ApprovalSpec,
        acceptance: Any,
        decision: Any,
        asked_of: Literal["first", "next", "any"],
        **kwargs: Any,
    ) -> None:
        default = APPROVE if approval.unanswered == "approve" else REJECT
        super().__init__(
            options=[APPROVE, REJECT],
            defaults=default,
            response_timeout=timedelta(seconds=approval.seconds),
            **kwargs,
        )
        self.unanswered = approval.unanswered
        self.wait_seconds = approval.seconds
        self.acceptance = acceptance
        self.decision = decision
        self.asked_of = asked_of

    def execute(self, context: Context) -> Any:
        """Ask; skipped of a version that a person is not asked of here."""
        is_first = not self.acceptance["plan"]
        if is_first and self.asked_of == "next":
            raise AirflowSkipException("It goes through no stages, so there is none to ask about.")
        if not is_first and self.asked_of == "first":
            raise AirflowSkipException("It goes through stages: a person is asked before one of these.")
        until = datetime.now(UTC) + timedelta(seconds=self.wait_seconds)
        told = [
            *evidence(self.acceptance, self.decision),
            _deadline(until, _who_answers(self.acceptance), self.unanswered),
        ]
        self.body = "\n\n".join(told)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """What the person said, or what counts where nobody did."""
        said = super().execute_complete(context, event)
        user, why = said["responded_by_user"], said["params_input"].get("why")
        chosen = said["chosen_options"] == [APPROVE]
        return {
            "approved": chosen if user else self.unanswered == "approve",
            "by": user["name"] if user else None,
            "at": said["responded_at"].isoformat(),
            "why": (why or "").strip(),
        }


def evidence(acceptance: dict[str, Any], decision: dict[str, Any] | None) -> Iterator[str]:
    """What was found so far, in Markdown."""
    yield acceptance["why"]
    yield "\n".join(f"- {each['check']}: {each['detail']}" for each in acceptance["checks"])
    if decision is not None:
        yield f"Stage {decision['stage']}: {decision['verdict']}. {decision['why']}"
        yield "\n".join(f"- {each['check']}: {each['says']}. {each['why']}" for each in decision["checks"])


def _who_answers(acceptance: dict[str, Any]) -> str:
    stable, candidate = acceptance["stable"], acceptance["candidate"]
    if not stable:
        return "nothing serves"
    if not acceptance["plan"] and stable["archive_sha256"] == candidate["archive_sha256"]:
        return "the version goes on with the settings that it has"
    number = candidate["model_version"]
    return (
        f"the version before answers everything but requests that name version {number} "
        f"(header `X-Perennial-Version: {number}`)"
    )


def _deadline(until: datetime, serves: str, unanswered: str) -> str:
    return (
        f"Until {until:%Y-%m-%d %H:%M} UTC {serves}; without an answer by then, "
        f"the declared default counts: {unanswered}. Other releases of the model stay queued; reject this "
        "one where it was ended meanwhile."
    )
