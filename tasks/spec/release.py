"""What a team says of how a new version reaches its users."""

import re
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from tasks.spec.base import Share, Spec
from tasks.spec.cloud_run import CloudRunSpec
from tasks.spec.metrics import Task
from tasks.spec.release_checks import Count, ErrorRates, ReleaseChecks

ReleaseMode = Literal["immediate", "canary", "blue_green", "shadow_only"]

PRODUCTION = "production"
ENVIRONMENT = re.compile(r"[a-z][a-z0-9_]{0,30}")
NO_ALIAS = re.compile(r"champion|latest|v[0-9]+")
"""An environment's alias in MLflow has its name; these mean a version there already."""
NO_ENVIRONMENT = re.compile(r"public|gateway|information_schema|pg_.*|metrics|healthz|internal")
"""An environment's records are in a PostgreSQL schema of its name, and its gateway answers below a path of
it: these are schemas that production has its records in, PostgreSQL's own, and the gateway's own paths. The
gateway has the same list in its `environments.py`."""

LONGEST_WAIT = 90 * 86_400
"""A release that takes longer than a quarter of a year is none: the next model is there before."""
MOST_STEPS = 20
STICKY = re.compile(r"|sender|header:[A-Za-z0-9-]{1,100}")
EXAMPLE = "[0.05, 0.25, 0.5, 1.0]"

Seconds = Annotated[float, Field(ge=0, le=LONGEST_WAIT, allow_inf_nan=False)]
LongestSeconds = Annotated[float, Field(gt=0, le=LONGEST_WAIT, allow_inf_nan=False)]
Undecided = Literal["hold", "proceed"]


class ApprovalSpec(Spec):
    """When a person is asked, and what counts where nobody answers.

    Attributes:
        when: `before_canary`: after the acceptance, before any user meets the version. `before_full`: before
            it answers everything. A version without stages (the first of a model, or with mode `immediate`
            after its environments) is asked about after its acceptance.
        seconds: How long the question waits; the version serves nobody meanwhile.
        unanswered: What counts after that.
    """

    when: Literal["none", "before_canary", "before_full"] = "none"
    seconds: LongestSeconds = 86_400
    unanswered: Literal["approve", "refuse"] = "refuse"


class StepSpec(Spec):
    """When a step of the canary may end.

    Attributes:
        requests: The least that the candidate was asked; fewer say nothing, however good they look.
        seconds: The least time.
        longest_seconds: The most time; then `undecided` counts.
        undecided: What follows where the checks have not said that the candidate is good enough by then:
            `hold` goes back to the version before and says so, `proceed` goes on.
    """

    requests: Count = 500
    seconds: Seconds = 60
    longest_seconds: LongestSeconds = 6 * 3600
    undecided: Undecided = "hold"


class ShadowSpec(Spec):
    """Copies of requests that the candidate answers to nobody, before the canary.

    Attributes:
        share: Of the requests, copied.
        requests: The least number of compared copies; 0 for no shadow.
        longest_seconds: The most time; then `undecided` counts.
        undecided: As of a step: `hold` goes back to the version before, `proceed` goes on.
    """

    share: Share = 0.2
    requests: Count = 500
    longest_seconds: LongestSeconds = 6 * 3600
    undecided: Undecided = "hold"


class AcceptanceSpec(Spec):
    """What a version has to show where it is deployed, before any user meets it.

    Attributes:
        rows: Frozen test rows that it has to answer as it did when it was judged; 0 for none.
        connections: So many callers at once make the load test.
        requests: So many requests end it; 0 for no load test.
        seconds: It ends after so long, if that comes first.
        p95_seconds: What 95 % of its answers under that load may take; None for no limit but the model's
            `serving.timeout_seconds`.
    """

    rows: Annotated[int, Field(ge=0, le=10_000)] = 100
    connections: Annotated[int, Field(ge=1, le=256)] = 4
    requests: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    seconds: Annotated[float, Field(gt=0, le=600)] = 20
    p95_seconds: Annotated[float, Field(gt=0, le=600)] | None = None


class EnvironmentSpec(Spec):
    """An environment that a version passes through before production.

    Attributes:
        name: As PERENNIAL_RELEASE_ENVIRONMENTS of the platform has it.
        acceptance: What a version has to show there, by itself; None for what `release.acceptance` says.
    """

    name: str
    acceptance: AcceptanceSpec | None = None

    @field_validator("name")
    @classmethod
    def _can_be_a_name(cls, name: str) -> str:
        if not ENVIRONMENT.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot be an environment's name; use at most 31 lower-case letters, digits and "
                "underscores, the first a letter"
            )
        return name


class ReleaseSpec(Spec):
    """How a promoted version comes to serve.

    Attributes:
        mode: `immediate`: at once, as soon as it answers. `canary`: after acceptance and shadow it answers a
            growing share, and goes back by itself where it is worse. `blue_green`: after the acceptance it
            answers everything at once, is watched, and goes back where it fails or is slow. `shadow_only`: it
            answers copies, and what that shows is written down; it is not released.
        approval: When a person is asked.
        steps: The shares of requests that the candidate answers, rising to 1.
        step: When a step may end.
        shadow: When the shadow may end, and how large it is.
        sticky_by: What keeps a caller at one version: `sender`, `header:<name>`, or empty for neither.
        error_rates: How often the checks may be wrong.
        checks: What is looked at.
        acceptance: What comes before.
        keep_warm_seconds: How long the version before stays loaded at least after a release.
        environments: Those that a version passes through before production, in order.
        cloud_run: The Cloud Run service that follows what serves in production; None for none.
    """

    mode: ReleaseMode = "immediate"
    approval: ApprovalSpec = ApprovalSpec()
    steps: tuple[Share, ...] = (0.05, 0.25, 0.5, 1.0)
    step: StepSpec = StepSpec()
    shadow: ShadowSpec = ShadowSpec()
    sticky_by: str = ""
    error_rates: ErrorRates = ErrorRates()
    checks: ReleaseChecks = ReleaseChecks()
    acceptance: AcceptanceSpec = AcceptanceSpec()
    keep_warm_seconds: Seconds = 86_400
    environments: tuple[EnvironmentSpec, ...] = ()
    cloud_run: CloudRunSpec | None = None

    @property
    def by_steps(self) -> bool:
        """Whether a version comes to serve by the DAG `release_<model>`, not as soon as it is promoted."""
        return self.mode != "immediate" or bool(self.environments)

    def acceptance_in(self, environment: str) -> AcceptanceSpec:
        """What a version has to show in an environment."""
        own = next((each.acceptance for each in self.environments if each.name == environment), None)
        return own or self.acceptance

    @field_validator("environments", mode="before")
    @classmethod
    def _may_be_names(cls, environments: object) -> object:
        if not isinstance(environments, list | tuple):
            return environments
        return [{"name": each} if isinstance(each, str) else each for each in environments]

    @field_validator("environments")
    @classmethod
    def _come_once_and_before_production(
        cls, environments: tuple[EnvironmentSpec, ...]
    ) -> tuple[EnvironmentSpec, ...]:
        names = [each.name for each in environments]
        if PRODUCTION in names:
            raise ValueError("production comes last by itself; name the environments before it")
        if taken := next((name for name in names if NO_ALIAS.fullmatch(name)), None):
            raise ValueError(
                f"an environment's alias in MLflow has its name, and {taken!r} means a version there "
                "already; take another name"
            )
        if taken := next((name for name in names if NO_ENVIRONMENT.fullmatch(name)), None):
            raise ValueError(
                f"{taken!r} is a schema of PostgreSQL or a path of the gateway already and cannot be an "
                "environment; take another name"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"{names} names an environment twice; a version passes through each once")
        return environments

    @field_validator("approval", mode="before")
    @classmethod
    def _may_be_said_in_a_word(cls, approval: object) -> object:
        if isinstance(approval, bool):
            raise ValueError(  # noqa: TRY004 - pydantic tells this one in a sentence
                f"{str(approval).lower()} is none of none, before_canary and before_full; without quotes "
                "YAML reads yes, no, on and off as true and false"
            )
        return {"when": approval} if isinstance(approval, str) else approval

    @model_validator(mode="before")
    @classmethod
    def _is_no_word(cls, release: object) -> object:
        if isinstance(release, str):
            modes = ", ".join(get_args(ReleaseMode))
            raise ValueError(  # noqa: TRY004 - as above
                f"{release!r} is one word, but fields are expected; write mode: one of {modes}, below it"
            )
        return release

    @field_validator("sticky_by")
    @classmethod
    def _names_what_keeps_a_caller(cls, sticky_by: str) -> str:
        if not STICKY.fullmatch(sticky_by):
            raise ValueError(
                f"{sticky_by!r} is none of sender, header:NAME (such as header:X-User-Id), and empty"
            )
        return sticky_by

    @field_validator("steps", mode="before")
    @classmethod
    def _are_shares(cls, steps: object) -> object:
        if not isinstance(steps, list | tuple):
            raise ValueError(  # noqa: TRY004 - as above
                f"a list of shares is expected, such as {EXAMPLE}, not {steps!r}"
            )
        if any(isinstance(each, int | float) and each > 1 for each in steps):
            raise ValueError(f"{list(steps)} are no shares; 5 % is 0.05, and everything is 1: {EXAMPLE}")
        return steps

    @field_validator("steps")
    @classmethod
    def _have_names_of_their_own(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if len(steps) > MOST_STEPS:
            raise ValueError(f"there are {len(steps)} steps, and at most {MOST_STEPS} are possible")
        names = [step_name(share) for share in steps]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two steps would be called {', '.join(double)}: make them differ by more")
        return steps

    @field_validator("steps")
    @classmethod
    def _rise_to_everything(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        rises = all(one < other for one, other in zip((0.0, *steps), steps, strict=False))
        if not steps or not rises or steps[-1] != 1:
            raise ValueError(
                f"{list(steps)} does not rise from above 0 to 1; give shares such as [0.05, 0.25, 0.5, 1.0]"
            )
        return steps

    @model_validator(mode="after")
    def _has_time_for_its_requests(self) -> "ReleaseSpec":
        if self.step.longest_seconds < self.step.seconds:
            raise ValueError(
                f"step.longest_seconds is {self.step.longest_seconds:g}, less than step.seconds "
                f"({self.step.seconds:g}): a step could never end well"
            )
        if self.mode == "shadow_only" and not (self.shadow.requests and self.shadow.share):
            raise ValueError("shadow: mode shadow_only needs shadow.requests and shadow.share above 0")
        return self

    @model_validator(mode="after")
    def _says_nothing_that_its_mode_ignores(self) -> "ReleaseSpec":
        """What is the default may stand there: a specification that was written down names every field."""
        for name in ("steps", "sticky_by"):
            if self.mode != "canary" and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name}: mode {self.mode} has no use for it; take mode canary, or leave it out"
                )
        copies = self.mode in {"canary", "shadow_only"} and self.shadow.requests and self.shadow.share
        if self.checks.agreement.least is not None and not copies:
            raise ValueError(
                "checks.agreement.least: there are no copies to compare; take canary or shadow_only with "
                "shadow.requests and shadow.share above 0, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _has_a_place_to_ask_at(self) -> "ReleaseSpec":
        if self.approval.when == "none" or (self.by_steps and self.mode != "shadow_only"):
            return self
        why = "serves nobody" if self.mode == "shadow_only" else "serves as soon as it is promoted"
        raise ValueError(
            f"approval: nobody would be asked, because with mode {self.mode} a version {why}; take mode "
            "canary or blue_green, give environments, or leave approval out"
        )


def step_name(share: float) -> str:
    """What the stage is called in which the candidate answers this share of the requests."""
    return f"canary_{100 * share:g}".replace(".", "_")


def faults_of_release(task: Task, release: ReleaseSpec) -> list[str]:
    """What does not fit the model's task."""
    if task != "regression" and release.checks.labels.largest_error is not None:
        return ["release.checks.labels.largest_error belongs to a regression; leave it out"]
    labels = release.checks.labels
    if task == "regression" and release.mode == "canary" and labels.margin and labels.largest_error is None:
        return [
            "release.checks.labels.largest_error: without it the canary of a regression looks at errors and "
            "latency alone; say from where on errors count as equally large, in units of the label, or "
            "labels: {margin: null} where that is meant"
        ]
    return []
