"""`gate.policy`: what is not worse by a margin may serve, and small steps down do not add up."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.contracts import EvaluationReport, GateDecision
from tasks.errors import InvalidRequest
from tasks.gate import decide as deciding
from tasks.gate import gate
from tasks.ledger import entries
from tasks.spec import GateSpec
from tests.unit.judged import CHAMPION, LOOK, RUN, SPEC, archive, evaluation, gained, request, score

MINIMUM = {"minimum": {"accuracy": 0.8}, "first_model_minimum": {"accuracy": 0.8}}
NOT_WORSE = GateSpec(policy="non_inferiority", **MINIMUM)
ROOT = "b" * 32
START = datetime(2026, 1, 1, tzinfo=UTC)


def decide(report: EvaluationReport, rules: GateSpec = NOT_WORSE) -> GateDecision:
    return deciding.decide(report, rules, archive(), None if report.champion is None else LOOK)


def failed(decision: GateDecision) -> list[str]:
    return [rule.rule for rule in decision.rules if not rule.passed]


def with_root(to_root: float, width: float = 0.002, **changes: Any) -> EvaluationReport:
    """An evaluation in which the candidate also differs so much from the root."""
    root = score("root", 0.9, run_id=ROOT, archive_sha256="3" * 64, name="version 1")
    return evaluation(width=width, root=root, root_difference=gained(to_root, width), **changes)


def test_a_candidate_that_is_as_good_is_promoted_and_the_root_stays() -> None:
    decision = decide(evaluation(candidate=0.9, width=0.002))

    assert (decision.verdict, decision.root_run_id) == ("promote", CHAMPION)
    told = next(rule.why for rule in decision.rules if rule.rule == "non_inferiority.accuracy")
    assert told.startswith("The candidate is not worse than the champion by 0.01 or more: +0.0000 [")
    assert decide(with_root(0.0, candidate=0.9)).root_run_id == ROOT


def test_one_that_is_better_than_the_root_becomes_it() -> None:
    assert decide(with_root(0.01)).root_run_id == RUN
    assert decide(evaluation()).root_run_id == RUN
    assert decide(evaluation(champion=None)).root_run_id == RUN
    superior = decide(evaluation(), GateSpec(**MINIMUM))
    assert (superior.verdict, superior.root_run_id) == ("promote", RUN)
    assert decide(evaluation(candidate=0.9), GateSpec(**MINIMUM)).root_run_id is None


def test_steps_that_are_each_within_the_margin_of_what_serves_do_not_add_up() -> None:
    one_more = decide(with_root(-0.014, candidate=0.896, width=0.005))

    assert (one_more.verdict, failed(one_more)) == ("reject", ["non_inferiority.accuracy"])
    assert "seems worse than version 1 by more than 0.01: -0.0140" in one_more.why
    assert decide(evaluation(candidate=0.898, width=0.003)).verdict == "promote"


def test_what_is_surely_worse_than_what_serves_is_rejected_whatever_the_margin() -> None:
    rules = NOT_WORSE.model_copy(update={"margin": 0.1})

    decision = decide(evaluation(candidate=0.89, width=0.005), rules)

    assert (decision.verdict, failed(decision)) == ("reject", ["non_inferiority.accuracy"])
    assert "is worse than the champion: -0.0100 [-0.0150, -0.0050]" in decision.why


def test_too_few_rows_hold_and_how_many_would_tell_is_told() -> None:
    decision = decide(evaluation(candidate=0.9, width=0.02))

    assert (decision.verdict, failed(decision)) == ("hold", ["non_inferiority.accuracy"])
    assert "That it is not would be shown by about 12,000 test rows." in decision.why


@pytest.mark.parametrize("changes", [{"root_difference": None}, {"differences": ()}])
def test_a_difference_that_is_not_defined_holds(changes: dict[str, Any]) -> None:
    decision = decide(with_root(0.0, candidate=0.9).model_copy(update=changes))
    assert (decision.verdict, failed(decision)) == ("hold", ["non_inferiority.accuracy"])


@given(
    to_champion=st.floats(-0.2, 0.2),
    to_root=st.floats(-0.2, 0.2),
    width=st.floats(0, 0.1),
    margin=st.floats(0.001, 1),
)
def test_nothing_is_promoted_that_is_worse_than_the_root_by_the_margin(
    to_champion: float, to_root: float, width: float, margin: float
) -> None:
    rules = NOT_WORSE.model_copy(update={"margin": margin})
    report = with_root(to_root, width, candidate=0.9 + to_champion, scored=score("candidate", 0.9))

    if decide(report, rules).verdict == "promote":
        assert to_root - 1.2 * width > -margin - 1e-9
        assert to_champion + width >= -1e-9


def test_a_policy_without_a_margin_cannot_be_written() -> None:
    with pytest.raises(ValidationError, match="non_inferiority asks how much worse is still good enough"):
        GateSpec(policy="non_inferiority", margin=0)


def test_an_evaluation_against_another_root_than_the_ledgers_is_refused(home: Path) -> None:
    spec = SPEC.model_copy(update={"gate": NOT_WORSE})
    champion = score("champion", 0.9, run_id=RUN, archive_sha256="1" * 64)
    gate.judge(request(spec=spec, evaluation=evaluation(champion=None)), START)
    later = {"run_id": "d" * 32, "archive_sha256": "4" * 64}
    report = evaluation(candidate=0.9, width=0.002, scored=score("candidate", 0.9, **later)).model_copy(
        update={"champion": champion}
    )
    asked = request(
        spec=spec,
        run=request().run.model_copy(update={"run_id": "d" * 32}),
        archive=archive(sha256="4" * 64, run_id="d" * 32),
        evaluation=report,
    )
    root = score("root", 0.9, run_id=ROOT, archive_sha256="3" * 64)
    moved = report.model_copy(update={"root": root, "root_difference": gained(0.0, 0.002)})

    with pytest.raises(InvalidRequest, match=f"takes run {ROOT} for the root.*by the ledger it is run {RUN}"):
        gate.judge(asked.model_copy(update={"evaluation": moved}), START)

    assert gate.judge(asked, START).root_run_id == RUN
    assert len(entries.history()) == 2
