"""What is asked and said of a release by steps: its acceptance, its stages, and what each of them decided."""

from typing import Literal

from pydantic import AwareDatetime, Field

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.monitoring import Approval
from tasks.contracts.release import RolloutCheck
from tasks.contracts.serving import ModelVersion, Route
from tasks.contracts.training import TrainingRun
from tasks.spec import PipelineSpec

StageKind = Literal["shadow", "canary"]
StageVerdict = Literal["proceed", "wait", "roll_back", "hold"]


class AcceptRequest(Request):
    """Bring a version up beside what serves, and see whether it is as it was judged.

    Attributes:
        version: Its number in MLflow.
        reason: Why it is released; the ledger keeps it.
        by_itself: Whether a task started the run and no person: then the gate's promotion has to hold still.
    """

    spec: PipelineSpec
    version: str
    reason: str = ""
    by_itself: bool = False


class Acceptance(Contract):
    """A version that is loaded beside what serves and has shown what it has to.

    Attributes:
        release_id: Of the release that begins with it.
        stable: What serves; None for a first model, which has nothing to be compared with.
        run: What the version was trained from.
        plan: The names of the stages that follow; none of a first model, and of what serves already and gets
            other settings.
    """

    release_id: str
    model: str
    version: ModelVersion
    run: TrainingRun
    stable: Route | None
    candidate: Route
    plan: tuple[str, ...]
    checks: tuple[RolloutCheck, ...]
    why: str
    ledger_hash: str


class Losses(Contract):
    """Answers whose label has come, and the sum of their losses, each in [0, 1]; as `Counted` counts."""

    labelled: float = 0.0
    loss: float = 0.0


class Counted(Contract):
    """What became of the requests of one version.

    Where a request has several instances, each counts for its part of it, whatever it is: n of them answered
    together say no more than one (`tasks.release.sequential_test`).

    Attributes:
        requests: Answered or not.
        failed: Not answered, through no fault of the caller's.
        reasons: Why it did not answer, in the backend's words, and how often; the most frequent.
        latency_buckets: How many answers took at most so many seconds, cumulative.
        predictions: How often each answer was given, as JSON.
        labelled: Answers whose label has come.
        loss: The sum of their losses, each in [0, 1]: 1 for a wrong answer; of a regression the absolute
            error in units of `release.checks.labels.largest_error`.
        slices: The same of each slice, by `column=value`.
    """

    requests: int = 0
    failed: int = 0
    reasons: dict[str, int] = Field(default_factory=dict)
    latency_buckets: dict[str, int] = Field(default_factory=dict)
    predictions: dict[str, float] = Field(default_factory=dict)
    labelled: float = 0.0
    loss: float = 0.0
    slices: dict[str, Losses] = Field(default_factory=dict)


class Stage(Contract):
    """One step of a release: how the requests are divided, and what the candidate is held against.

    Attributes:
        name: `shadow`, or `canary_5` for a share of 5 %.
        number: Its place, from 0, of `stages`.
        until: After this nobody follows it any more, and a split that is still there is closed.
        slow_after_seconds: An answer that takes longer counts as slow; None where nothing says what is slow.
        before: What the stable version did before the stage, for where it answers nothing during it. Its
            slices are those that the stage looks at.
    """

    release_id: str
    model: str
    name: str
    kind: StageKind
    number: int
    stages: int
    share: float
    shadow_share: float
    sticky_by: str = ""
    opened_at: AwareDatetime
    until: AwareDatetime
    slow_after_seconds: float | None
    stable: Route
    candidate: Route
    before: Counted = Counted()
    ledger_hash: str | None = None


class StageLook(Contract):
    """What was seen of a stage until a time.

    Attributes:
        compared: Copies that the candidate answered; `agreed` of them as the caller was told.
    """

    at: AwareDatetime
    seconds: float
    candidate: Counted
    stable: Counted
    compared: float = 0.0
    agreed: float = 0.0


class StageCheck(Contract):
    """One check of a stage.

    Attributes:
        value: What was measured; None where there is nothing yet.
        limit: What it is held against.
        harm: The evidence that the candidate is beyond the limit, as a logarithm; from `harm_needed` on it
            goes back.
        good: The evidence that it is within; from `good_needed` on the check has passed.
        needed: Whether the stage waits for the check to pass.
    """

    check: Literal["errors", "latency", "agreement", "predictions", "labels", "slices"]
    value: float | None
    limit: float | None
    harm: float
    harm_needed: float
    good: float
    good_needed: float
    says: Literal["worse", "good", "open", "nothing"]
    needed: bool
    why: str


class StageDecision(Contract):
    """What follows of a stage, why, and every check with its evidence."""

    release_id: str
    model: str
    stage: str
    verdict: StageVerdict
    why: str
    checks: tuple[StageCheck, ...]
    look: StageLook
    ledger_hash: str | None = None


class OpenStageRequest(Request):
    """Divide a model's requests for a stage.

    Attributes:
        stage: Its name in the plan.
        before: What the stage before decided; None for the first.
        approval: What a person said where one was asked before this stage.
    """

    spec: PipelineSpec
    acceptance: Acceptance
    stage: str
    before: StageDecision | None = None
    approval: Approval | None = None


class JudgeStageRequest(Request):
    """Decide what follows of a stage, and let it take effect.

    Attributes:
        stays_open: Whether the candidate goes on answering its share where the stage says `proceed`; not
            where a person is asked next, for nobody looks meanwhile.
    """

    spec: PipelineSpec
    stage: Stage
    stays_open: bool = True


class PromoteRequest(Request):
    """Let the version of a release serve.

    Attributes:
        before: What the last stage decided; None for a first model.
        approval: What a person said where one was asked before it.
    """

    spec: PipelineSpec
    acceptance: Acceptance
    before: StageDecision | None = None
    approval: Approval | None = None


class ReleaseUnderWay(Contract):
    """A release that has begun and not ended, as the ledger tells it.

    Attributes:
        stage: Where it is: `accepted`, or the name of a stage.
        says: What was decided last, in a sentence.
    """

    model: str
    release_id: str
    version: str
    stage: str
    since: AwareDatetime
    share: float
    says: str
    until: AwareDatetime | None = None
