"""What each comparison of the gate costs, by the ledger: never more in a year than was declared."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from tasks.contracts import GateDecision
from tasks.gate import budget, gate
from tasks.gate.decide import decide
from tasks.ledger import entries
from tests.unit import judged
from tests.unit.judged import SPEC, archive, evaluation, request, run, score


def judged_at(day: float, **changes: Any) -> GateDecision:
    """What the gate decides so many days after the first of January."""
    return gate.judge(request(**changes), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day))


def of_candidate(number: int) -> dict[str, Any]:
    """A request about another candidate on the same rows."""
    sha256, run_id = f"{number:064}", f"{number:032}"
    scored = score("candidate", 0.9, archive_sha256=sha256, run_id=run_id)
    return {
        "run": run(run_id=run_id),
        "archive": archive(sha256=sha256, run_id=run_id),
        "evaluation": evaluation(candidate=0.9, scored=scored),
    }


def test_each_comparison_costs_of_the_years_rate_and_the_same_one_costs_once(home: Path) -> None:
    first = judged_at(0, **of_candidate(1))
    again = judged_at(3, **of_candidate(1))
    others = [judged_at(3, **of_candidate(number)) for number in range(2, 22)]

    assert again == first
    assert len(entries.history()) == 21
    looks = [decision.look for decision in (first, *others)]
    levels = [look.alpha for look in looks if look is not None]
    assert levels == sorted(levels, reverse=True)
    assert sum(levels) <= SPEC.gate.false_promotion_rate
    assert levels[0] == SPEC.gate.false_promotion_rate * budget.RESERVE * budget.SPENT
    later = of_candidate(1)
    once_more = judged_at(
        4, **{**later, "evaluation": later["evaluation"].model_copy(update={"report_url": "2"})}
    )
    assert once_more.look == first.look
    next_one = judged_at(4, **of_candidate(23)).look
    assert next_one is not None
    assert next_one.available < levels[0] / 10
    rested = judged_at(200, **of_candidate(22)).look
    assert rested is not None
    assert rested.alpha == levels[0]


def test_more_rows_that_were_confirmed_since_and_another_policy_are_other_comparisons(home: Path) -> None:
    """Else a held candidate could be judged each day anew, on a few more of the same frozen rows."""
    asked = of_candidate(1)
    first = judged_at(0, **asked)
    older = judged_at(1, **asked | {"evaluation": asked["evaluation"].model_copy(update={"rows": 1100})})
    rules = SPEC.gate.model_copy(update={"policy": "non_inferiority"})
    otherwise = judged_at(1, **asked | {"spec": SPEC.model_copy(update={"gate": rules})})

    levels = [found.look.alpha for found in (first, older, otherwise) if found.look is not None]
    assert levels == sorted(set(levels), reverse=True)
    assert len(levels) == 3


def test_a_level_of_nothing_shows_nothing(home: Path) -> None:
    """So little is left when the clock stands still for a thousand comparisons."""
    spent = judged.LOOK.model_copy(update={"alpha": 0.0})
    held = decide(evaluation(candidate=0.9), SPEC.gate, archive(), spent)
    assert held.verdict == "hold"


def test_a_first_model_costs_nothing(home: Path) -> None:
    first = judged_at(0, evaluation=evaluation(champion=None))
    second = judged_at(1, **of_candidate(1))
    assert first.look is None
    assert second.look is not None
    assert second.look.available == SPEC.gate.false_promotion_rate * budget.RESERVE


def test_gates_at_the_same_time_spend_one_after_the_other(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        decisions = list(pool.map(lambda number: judged_at(0, **of_candidate(number)), range(1, 9)))

    available = sorted((found.look.available for found in decisions if found.look), reverse=True)
    assert len(set(available)) == 8
    assert all(later < 0.51 * earlier for earlier, later in pairwise(available))
