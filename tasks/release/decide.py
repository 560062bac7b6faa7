"""What follows of a stage of a release: a pure function of counts, so that every look can be replayed.

The declared rate of false rollbacks is shared equally between the stages and the checks that a release may
make, and within the check `slices` between the slices, which are known when the stage is opened; within a
stage it holds at all looks together (`tasks.release.sequential_test`).

Where the candidate answers everything nothing answers beside it, and what the stable version did the day
before it did to other requests: what depends on these (answers, labels, slices) is told there and decides
nothing. Failures and slow answers are held against the day before all the same: as limits of what users bear.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log
from typing import Literal

from tasks.contracts import (
    Counted,
    LedgerEntry,
    Losses,
    Stage,
    StageCheck,
    StageDecision,
    StageLook,
    StageVerdict,
)
from tasks.percent import at_least, percent
from tasks.release.sequential_test import Values, log_above, log_below, log_over, log_under
from tasks.release.stages import longest_seconds, within
from tasks.spec import PipelineSpec, ReleaseSpec, declared_classes

CheckName = Literal["errors", "latency", "agreement", "predictions", "labels", "slices"]
MOST_ANSWERS = 100
"""Different answers that the gateway tells of a version."""
OF_THE_REQUESTS = {"predictions", "labels", "slices"}
"""Checks of what depends on which requests come, so that both versions have to answer at the same time."""
MOST_REASONS = 3
MOST_SLICES = 20
"""Of a stage: each takes its part of the rate of false rollbacks, and more of them find less."""


@dataclass(frozen=True)
class Measured:
    """What one check found, before it is held against what the stage needs."""

    check: CheckName
    value: float | None
    limit: float | None
    harm: float
    good: float
    needed: bool
    told: str
    comparisons: int = 1


def decide(stage: Stage, seen: StageLook, spec: PipelineSpec) -> StageDecision:
    """Go on, wait, go back, or hold.

    Args:
        seen: What became of the requests since the stage was opened.
    """
    rules = spec.release
    allowed = rules.error_rates.false_rollback / stage.stages / len(planned(spec, stage))
    checks = tuple(_held_to(each, allowed, rules) for each in _that_decide(stage, seen, spec))
    verdict, why = _verdict(stage, seen, rules, checks)
    return StageDecision(
        release_id=stage.release_id,
        model=stage.model,
        stage=stage.name,
        verdict=verdict,
        why=why,
        checks=checks,
        look=seen,
    )


def replayed(entry: LedgerEntry) -> StageDecision:
    """What the decision of an entry is, decided anew from the evidence that it holds."""
    held = entry.evidence
    stage, seen = Stage.model_validate(held["stage"]), StageLook.model_validate(held["decision"]["look"])
    return decide(stage, seen, PipelineSpec.model_validate(held["spec"]))


def planned(spec: PipelineSpec, stage: Stage) -> tuple[CheckName, ...]:
    """The checks that a release of the model may make, in this stage or another one."""
    checks = spec.release.checks
    names: list[CheckName] = ["errors", "latency"]
    if checks.agreement.least is not None:
        names.append("agreement")
    if checks.predictions.largest_change is not None and spec.task != "regression":
        names.append("predictions")
    if checks.labels.margin is not None and (spec.task != "regression" or checks.labels.largest_error):
        names.append("labels")
        if checks.labels.slice_margin is not None and stage.before.slices:
            names.append("slices")
    return tuple(names)


def _verdict(
    stage: Stage, seen: StageLook, rules: ReleaseSpec, checks: tuple[StageCheck, ...]
) -> tuple[StageVerdict, str]:
    if worse := [each for each in checks if each.says == "worse"]:
        return "roll_back", f"The candidate is worse. {' '.join(each.why for each in worse)}"
    open_points = [*_too_little(stage, seen, rules), *(each.why for each in checks if _is_open(each))]
    asked = f"{seen.candidate.requests} requests in {seen.seconds:.0f} s"
    if not open_points:
        return "proceed", f"After {asked} every check has passed that the stage waits for."
    longest = longest_seconds(rules, stage.kind)
    if seen.seconds < longest:
        return "wait", f"After {asked}: {' '.join(open_points)}"
    undecided = rules.shadow.undecided if stage.kind == "shadow" else rules.step.undecided
    said = f"After the longest time of the stage ({longest:g} s) it is still open: {' '.join(open_points)}"
    return undecided, f"{said} release.{_section(stage)}.undecided is {undecided}."


def _section(stage: Stage) -> str:
    return "shadow" if stage.kind == "shadow" else "step"


def _is_open(check: StageCheck) -> bool:
    return check.needed and check.says != "good"


def _too_little(stage: Stage, seen: StageLook, rules: ReleaseSpec) -> Iterator[str]:
    """What has to be there before the stage may end."""
    least = rules.shadow.requests if stage.kind == "shadow" else rules.step.requests
    if seen.candidate.requests < least:
        yield f"The candidate was asked {seen.candidate.requests} of {least} requests."
    if stage.kind == "shadow":
        return
    if seen.seconds < rules.step.seconds:
        yield f"The stage lasts {rules.step.seconds:g} s at least."
    if stage.share < 1 and seen.candidate.labelled < rules.checks.labels.least:
        yield f"{seen.candidate.labelled:.0f} of {rules.checks.labels.least} labels have come."


def _held_to(found: Measured, allowed: float, rules: ReleaseSpec) -> StageCheck:
    harm_needed = log(found.comparisons / allowed)
    good_needed = log(1 / rules.error_rates.missed)
    says: Literal["worse", "good", "open", "nothing"] = "open"
    if found.value is None:
        says = "nothing"
    elif found.harm >= harm_needed:
        says = "worse"
    elif found.good >= good_needed:
        says = "good"
    return StageCheck(
        check=found.check,
        value=found.value,
        limit=found.limit,
        harm=found.harm,
        harm_needed=harm_needed,
        good=found.good,
        good_needed=good_needed,
        says=says,
        needed=found.needed,
        why=f"{found.told} Evidence that it is worse: {_times(found.harm)}, and {_times(harm_needed)} are "
        f"needed; that it is good: {_times(found.good)} of {_times(good_needed)}.",
    )


def _times(logarithm: float) -> str:
    """Evidence as people bet: so many to one."""
    return f"{2.718281828459045 ** min(logarithm, 690):.3g} : 1"


def _that_decide(stage: Stage, seen: StageLook, spec: PipelineSpec) -> Iterator[Measured]:
    """What was measured, without the evidence of what was measured on other requests."""
    for each in _measured(stage, seen, spec):
        if stage.share < 1 or each.check not in OF_THE_REQUESTS:
            yield each
        else:
            told = f"{each.told} It decides nothing here: the stable version's is of the day before."
            yield replace(each, harm=0.0, good=0.0, needed=False, told=told)


def _measured(stage: Stage, seen: StageLook, spec: PipelineSpec) -> Iterator[Measured]:
    names, checks = planned(spec, stage), spec.release.checks
    failed = _difference(
        "errors", _failures(seen.candidate), _failures(seen.stable), checks.errors.margin, needed=True
    )
    yield replace(failed, told=f"{failed.told}{_reasons(seen.candidate)}")
    yield _latency(stage, seen, checks.latency.margin)
    if "agreement" in names and stage.kind == "shadow" and checks.agreement.least is not None:
        yield _agreement(seen, checks.agreement.least)
    if "predictions" in names and checks.predictions.largest_change is not None:
        yield _predictions(seen, checks.predictions.largest_change, spec)
    if "labels" in names and stage.kind == "canary" and checks.labels.margin is not None:
        yield _difference(
            "labels", _losses(seen.candidate), _losses(seen.stable), checks.labels.margin, needed=False
        )
    if "slices" in names and stage.kind == "canary" and checks.labels.slice_margin is not None:
        yield _slices(stage, seen, checks.labels.slice_margin)


TOLD = {
    "errors": "Share of requests that were not answered",
    "latency": "Share of slow answers",
    "labels": "Mean loss of labelled answers",
    "slices": "Mean loss of its labelled answers",
}
SHARES = {"errors", "latency"}


def _difference(
    check: Literal["errors", "latency", "labels", "slices"],
    one: Values,
    other: Values,
    margin: float,
    *,
    needed: bool,
) -> Measured:
    """The candidate's mean against the stable version's."""
    if one.mean is None or other.mean is None:
        told = f"{TOLD[check]}: nothing to compare yet ({one.rows:.0f} and {other.rows:.0f})."
        return Measured(check, None, margin, 0.0, 0.0, needed, told)
    number = percent if check in SHARES else "{:.4g}".format
    told = (
        f"{TOLD[check]}: {number(one.mean)} of {one.rows:.0f}, of the stable version {number(other.mean)} of "
        f"{other.rows:.0f}; {number(margin)} more are allowed."
    )
    harm, good = log_above(one, other, margin), log_below(one, other, margin)
    return Measured(check, one.mean - other.mean, margin, harm, good, needed, told)


def _failures(counted: Counted) -> Values:
    return Values(counted.requests, counted.failed)


def _reasons(counted: Counted) -> str:
    """Why the candidate did not answer, the most frequent first, as a sentence to add to another."""
    most = sorted(counted.reasons.items(), key=lambda each: (-each[1], each[0]))[:MOST_REASONS]
    told = "; ".join(f"{count} times: {' '.join(reason.split())}" for reason, count in most)
    return f" Why the candidate did not answer: {told.rstrip('.')}." if told else ""


def _losses(counted: Counted | Losses) -> Values:
    return Values(counted.labelled, counted.loss)


def _latency(stage: Stage, seen: StageLook, margin: float) -> Measured:
    if stage.slow_after_seconds is None:
        told = "Nothing says which answers are slow: the stable version answered too little before."
        return Measured("latency", None, None, 0.0, 0.0, needed=False, told=told)
    after = stage.slow_after_seconds
    own, its = _slow(seen.candidate, after), _slow(seen.stable, after)
    found = _difference("latency", own, its, margin, needed=True)
    return replace(found, told=f"Slow is what takes over {after:g} s. {found.told}")


def _slow(counted: Counted, seconds: float) -> Values:
    answered = counted.requests - counted.failed
    return Values(answered, answered - within(counted, seconds))


def _agreement(seen: StageLook, least: float) -> Measured:
    copies = Values(seen.compared, seen.agreed)
    told = (
        f"Copies answered as the caller was told: {seen.agreed:.0f} of {seen.compared:.0f}; "
        f"{at_least(least)} of them have to."
    )
    harm, good = log_under(copies, least), log_over(copies, least)
    return Measured("agreement", copies.mean, least, harm, good, needed=True, told=told)


def _predictions(seen: StageLook, largest: float, spec: PipelineSpec) -> Measured:
    """The answer whose share changed the most, either way; each answer and way takes its part of the rate."""
    given = sorted({*seen.candidate.predictions, *seen.stable.predictions})
    pairs = [(_share(seen.candidate, name), _share(seen.stable, name)) for name in given]
    changes = [(one.mean or 0.0) - (other.mean or 0.0) for one, other in pairs]
    ways = 2 * len(declared_classes(spec.serving.label_schema) or range(MOST_ANSWERS))
    if not pairs or not (pairs[0][0].rows and pairs[0][1].rows):
        told = "Answers: nothing to compare yet."
        return Measured("predictions", None, largest, 0.0, 0.0, needed=True, told=told, comparisons=ways)
    both = [pair for one, other in pairs for pair in ((one, other), (other, one))]
    most = max(range(len(given)), key=lambda place: abs(changes[place]))
    told = f"The share of the answer {given[most]} changed by {changes[most]:+.4g}, at most {largest:g}."
    harm = max(log_above(one, other, largest) for one, other in both)
    good = min(log_below(one, other, largest) for one, other in both)
    return Measured(
        "predictions", abs(changes[most]), largest, harm, good, needed=True, told=told, comparisons=ways
    )


def looked_at(stage: Stage) -> tuple[str, ...]:
    """The slices of a stage: of those that had labels before it was opened the largest, so that which they
    are, and how many, depends on nothing that the stage shows.
    """
    before = stage.before.slices
    return tuple(sorted(before, key=lambda name: (-before[name].labelled, name))[:MOST_SLICES])


def _slices(stage: Stage, seen: StageLook, margin: float) -> Measured:
    """The slice with the most evidence that the candidate is worse on it."""
    names = looked_at(stage)
    pairs = {
        name: (_losses(one), _losses(other))
        for name in names
        if (one := seen.candidate.slices.get(name)) and (other := seen.stable.slices.get(name))
    }
    if not pairs:
        told = f"Mean loss by slice: nothing to compare yet of {len(names)} slices."
        return Measured("slices", None, margin, 0.0, 0.0, needed=False, told=told, comparisons=len(names))
    harms = {name: log_above(*pair, margin) for name, pair in pairs.items()}
    worst = max(
        pairs, key=lambda name: (harms[name], (pairs[name][0].mean or 0) - (pairs[name][1].mean or 0))
    )
    found = _difference("slices", *pairs[worst], margin, needed=False)
    good = min(log_below(*pair, margin) for pair in pairs.values())
    told = f"Of {len(pairs)} slices {worst} speaks most against it. {found.told}"
    return replace(found, harm=harms[worst], good=good, told=told, comparisons=len(names))


def _share(counted: Counted, answer: str) -> Values:
    return Values(sum(counted.predictions.values()), counted.predictions.get(answer, 0))
