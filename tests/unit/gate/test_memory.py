"""A model that needs more memory than there is, or nobody knows how much, is not promoted."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.gate.decide import decide
from tasks.spec import GateSpec
from tests.unit.judged import LOOK, archive, evaluation, score

sizes = st.integers(1, 2**50)


@given(measured=st.none() | sizes, limit=st.none() | sizes)
def test_only_a_measured_memory_within_the_limit_passes(measured: int | None, limit: int | None) -> None:
    report = evaluation(scored=score("candidate", 0.91, peak_memory_bytes=measured))

    decision = decide(report, GateSpec(peak_memory_bytes=limit), archive(), LOOK)

    fits = limit is None or (measured is not None and measured <= limit)
    assert decision.verdict == ("promote" if fits else "reject")
    assert fits or "memory" in decision.why
