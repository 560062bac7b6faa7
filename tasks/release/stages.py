"""Which stages a release goes through, and what counts as slow in them."""

from math import isfinite

from tasks.contracts import Counted, StageKind
from tasks.spec import PRODUCTION, ReleaseSpec
from tasks.spec.release import step_name

SHADOW = "shadow"
FEWEST_ANSWERS = 100
"""Of the stable version: from fewer its 95th percentile is not read."""
PERCENTILE = 0.95


def plan(rules: ReleaseSpec) -> dict[str, float]:
    """The share of requests that the candidate answers in each stage, by the stage's name, in order.

    None of a mode `immediate`: what is accepted serves.
    """
    if rules.mode == "immediate":
        return {}
    steps = {step_name(share): share for share in rules.steps}
    shadow = {SHADOW: 0.0} if rules.shadow.requests and rules.shadow.share else {}
    if rules.mode == "shadow_only":
        return shadow
    return {"canary_100": 1.0} if rules.mode == "blue_green" else {**shadow, **steps}


def kind_of(stage: str) -> StageKind:
    return "shadow" if stage == SHADOW else "canary"


def longest_seconds(rules: ReleaseSpec, kind: StageKind) -> float:
    return rules.shadow.longest_seconds if kind == "shadow" else rules.step.longest_seconds


def asks_before(rules: ReleaseSpec, stage: str) -> bool:
    """Whether a person is asked before a stage begins: the first that users meet, or that of everything.

    Args:
        stage: Its name; `production` for that of a version that comes to serve without stages, because none
            are declared or nothing serves that it could be compared with.
    """
    shares = plan(rules)
    when = rules.approval.when
    if stage == PRODUCTION:
        return when != "none" and rules.mode != "shadow_only"
    if when == "before_full":
        return shares[stage] == 1
    first = next((name for name, share in shares.items() if share), None)
    return when == "before_canary" and stage == first


def slow_after(stable: Counted, rules: ReleaseSpec) -> float | None:
    """From how many seconds on an answer counts as slow; None where nothing says it."""
    limits = [rules.checks.latency.limit_seconds]
    if (usual := percentile(stable)) is not None:
        limits.append(usual * rules.checks.latency.ratio)
    return min((each for each in limits if each is not None), default=None)


def percentile(counted: Counted, share: float = PERCENTILE) -> float | None:
    """The bound that this share of the answers stays within; None of fewer than `FEWEST_ANSWERS`."""
    bounds = sorted((float(bound), count) for bound, count in counted.latency_buckets.items())
    answered = counted.requests - counted.failed
    if answered < FEWEST_ANSWERS:
        return None
    return next((bound for bound, count in bounds if isfinite(bound) and count >= share * answered), None)


def within(counted: Counted, seconds: float) -> int:
    """Of the answers those that took no longer, by the nearest bound that is not below."""
    bounds = sorted((float(bound), count) for bound, count in counted.latency_buckets.items())
    answered = counted.requests - counted.failed
    return next((count for bound, count in bounds if bound >= seconds * (1 - 1e-9)), answered)
