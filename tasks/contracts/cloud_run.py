"""What is asked and said of a model on Cloud Run: what is planned, what was seen of it, what was decided."""

from typing import Any, Literal

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.spec import PipelineSpec

CloudRunTarget = Literal["production", "previous"]


class PlanCloudRunRequest(Request):
    """Say which revision a model's service is to have.

    Attributes:
        to: `production`: of the version that serves there. `previous`: the one that the service had before.
        reason: Why; the ledger keeps it.
    """

    spec: PipelineSpec
    to: CloudRunTarget = "production"
    reason: str = ""


class CloudRunPlan(Contract):
    """A revision that is to answer, and all that is needed to make it, ask it and move the traffic to it.

    Attributes:
        service: Its full name, `projects/.../locations/.../services/...`.
        ingress: As Cloud Run's API names it.
        revision: Its name, which says the version and what it runs with; two of one name are the same.
        base: The name of its first try; a revision that failed cannot be made again under its name.
        template: The revision as JSON of Cloud Run's API.
        image: By its digest.
        run_id: The MLflow run that the version came from.
        version: Of the archive, as the server names it.
        example, expected: What is asked of it, and what it answered when it was judged.
        secret: The token's, `projects/.../secrets/.../versions/...`.
        timeout_seconds: For one answer.
        ready_seconds: For the revision to become ready.
    """

    model: str
    to: CloudRunTarget
    service: str
    ingress: str
    revision: str
    base: str
    template: dict[str, Any]
    image: str
    run_id: str
    model_version: str
    version: str
    archive_sha256: str
    example: dict[str, Any]
    expected: dict[str, Any]
    secret: str
    timeout_seconds: float
    ready_seconds: float
    why: str
    ledger_hash: str = ""


class CloudRunSeen(Contract):
    """What was seen of a revision before any user met it.

    Attributes:
        state: `late`: it was not ready in time.
        said: By Cloud Run, of its state.
        answer: What it answered to the example; None where it did not, and `fault` says why.
        serving: The percentage of the requests that each revision answers.
    """

    state: Literal["ready", "failed", "late"]
    said: str
    answer: dict[str, Any] | None = None
    fault: str = ""
    serving: dict[str, int]


class JudgeCloudRunRequest(Request):
    """Decide whether the traffic moves to a revision."""

    plan: CloudRunPlan
    seen: CloudRunSeen


class CloudRunDecision(Contract):
    """Whether the traffic moves to the revision of a plan, or stays where it is."""

    plan: CloudRunPlan
    verdict: Literal["move", "stay"]
    why: str
    ledger_hash: str


class CloseCloudRunRequest(Request):
    """See that what was decided has taken effect.

    Attributes:
        serving: The percentage of the requests that each revision answers.
    """

    decision: CloudRunDecision
    serving: dict[str, int]


class OnCloudRun(Contract):
    """The revision that answers all requests of a model's service."""

    model: str
    model_version: str
    service: str
    revision: str
    why: str
    ledger_hash: str
