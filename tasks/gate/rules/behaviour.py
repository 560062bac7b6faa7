"""Does the candidate behave as the model's behaviour.yaml asks?"""

from collections.abc import Iterator
from typing import Literal

from tasks.contracts import (
    BehaviourResult,
    EvaluationReport,
    FailedCase,
    PassedByChampion,
    RuleVerdict,
)
from tasks.percent import at_least

NAMED = 3
Verdict = Literal["pass", "hold", "reject"]


def behaves(evaluation: EvaluationReport) -> Iterator[RuleVerdict]:
    """One verdict a test. Too few passing cases reject, and a test without any case holds.

    Where the cases are a sample of the test rows, a shortfall that may be chance is held against the champion
    in the same cases: the candidate passes if it fares as well, is rejected if it surely fares worse, and is
    held else. The declared share stays a floor under which no champion excuses: what is surely short of it is
    rejected, so that no chain of candidates sinks by small steps.
    """
    yield from map(verdict_on, evaluation.behaviour)


def verdict_on(found: BehaviourResult) -> RuleVerdict:
    """The verdict on one test."""
    share = found.passed / found.cases if found.cases else None
    verdict, why = _judge(found, share)
    if share is not None and verdict != "pass":
        why += f" Among those that failed: {' '.join(map(_told, found.failed[:NAMED]))}"
    return RuleVerdict(
        rule=f"behaviour.{found.name}",
        value=share,
        threshold=found.required_share,
        passed=verdict == "pass",
        blocks="hold" if verdict == "hold" or share is None else "reject",
        why=why,
    )


def _judge(found: BehaviourResult, share: float | None) -> tuple[Verdict, str]:
    if share is None:
        return "hold", (
            f"Not one case of this {_kind(found)} test was there to be asked, so nothing can be said of it."
        )
    why = (
        f"{found.passed} of {found.cases} cases of this {_kind(found)} test passed; "
        f"{at_least(found.required_share)} of them have to."
    )
    if share >= found.required_share:
        return "pass", why
    if found.low is None or found.high is None:
        return "reject", why
    interval = f"the 95 % interval of the share is {found.low:.3f} to {found.high:.3f}"
    if found.high < found.required_share:
        return "reject", f"{why} That is surely too few: {interval}."
    verdict, told = _beside(found.champion)
    return verdict, f"{why} That may be chance: {interval}. {told}"


def _beside(champion: PassedByChampion | None) -> tuple[Verdict, str]:
    """The verdict on a shortfall that may be chance."""
    if champion is None:
        return "hold", "A larger test_rows tells."
    its = f"In the same cases the champion passed {champion.passed}"
    if champion.difference >= 0:
        return "pass", f"{its}, so that the candidate is not worse."
    if champion.high < 0:
        return "reject", f"{its}, so that the candidate is surely worse."
    return "hold", f"{its}; that the candidate is worse may be chance, too. A larger test_rows tells."


def _kind(found: BehaviourResult) -> str:
    return found.kind.replace("_", " ")


def _told(case: FailedCase) -> str:
    changed = f", changed to {case.changed}" if case.changed else ""
    return f"{case.instance}{changed}: {case.why}"
