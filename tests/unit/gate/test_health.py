"""What is unsound is not promoted, however good its metrics look."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import Health
from tasks.gate.decide import decide
from tasks.spec import GateSpec
from tests.unit.judged import LOOK, SOUND, archive, evaluation

RULES = GateSpec()


@given(
    not_finite=st.integers(0, 3), not_probabilities=st.integers(0, 3), constant=st.none() | st.just("score 1")
)
def test_only_sound_answers_are_promoted(
    not_finite: int, not_probabilities: int, constant: str | None
) -> None:
    health = Health(rows=1000, not_finite=not_finite, not_probabilities=not_probabilities, constant=constant)
    decision = decide(evaluation(health=health), RULES, archive(), LOOK)
    assert decision.verdict == ("promote" if health == SOUND else "reject")


def test_each_fault_is_told() -> None:
    broken = Health(rows=9, not_finite=2, not_probabilities=3, constant="score 0.5")
    (failed,) = [
        rule for rule in decide(evaluation(health=broken), RULES, archive(), LOOK).rules if not rule.passed
    ]
    assert failed.rule == "numerical_health"
    assert failed.why == (
        "2 of 9 answers have a number that is NaN or infinite; 3 of 9 answers have scores that are no "
        "probabilities, in [0, 1] and 1 together; every answer has the score 0.5, so the model does not tell "
        "the rows apart."
    )


def test_a_record_of_before_it_was_looked_at_is_decided_as_it_was() -> None:
    decision = decide(evaluation(health=None), RULES, archive(), LOOK)
    assert "numerical_health" not in [rule.rule for rule in decision.rules]
    assert decision.verdict == "promote"
