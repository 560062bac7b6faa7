"""Whether the traffic of a service moves to a revision, by what was seen of that."""

from typing import Literal

from tasks.contracts import CloudRunPlan, CloudRunSeen
from tasks.release.differences import differences

Verdict = Literal["move", "stay"]


def decide(plan: CloudRunPlan, seen: CloudRunSeen) -> tuple[Verdict, str]:
    """The verdict, and why: a revision gets requests once it is ready and answers as it was judged."""
    named = f"The revision {plan.revision} (version {plan.model_version})"
    if seen.state != "ready":
        return "stay", f"{named} is not ready: {seen.said}"
    if seen.answer is None:
        return "stay", f"{named} is ready, but does not answer its example: {seen.fault}"
    wrong = differences(plan.expected, seen.answer)
    if wrong:
        return "stay", f"{named} answers its example otherwise than when it was judged: {'; '.join(wrong)}."
    return "move", f"{named} is ready and answers as it was judged. {plan.why}"
