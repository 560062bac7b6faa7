"""Whether the traffic of a service moves to a revision, by what was seen of that."""

from typing import Literal

from tasks.contracts import CloudRunPlan, CloudRunSeen
from tasks.release.differences import differences

Verdict = Literal["move", "stay"]


def decide(plan: CloudRunPlan, seen: CloudRunSeen, in_production: str | None) -> tuple[Verdict, str]:
    """The verdict, and why: a revision gets requests once it is ready and answers as it was judged.

    Args:
        in_production: The SHA-256 of the archive that serves there by now; None for none. A plan that follows
            production moves nothing when that has gone on.
    """
    named = f"The revision {plan.revision} (version {plan.model_version})"
    if plan.to == "production" and plan.archive_sha256 != in_production:
        return "stay", f"{named} was planned for what served in production, which something else does by now."
    if seen.state != "ready":
        return "stay", f"{named} is not ready: {seen.said}"
    if seen.answer is None:
        return "stay", f"{named} is ready, but does not answer its example: {seen.fault}"
    wrong = differences(plan.expected, seen.answer)
    if wrong:
        return "stay", f"{named} answers its example otherwise than when it was judged: {'; '.join(wrong)}."
    return "move", f"{named} is ready and answers as it was judged. {plan.why}"
