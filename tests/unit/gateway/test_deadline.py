"""A caller says how long it waits, and never waits longer than the model may take."""

import pytest
from perennial_gateway.deadline import is_fair, late, seconds_of
from perennial_gateway.web import Refused


@pytest.mark.parametrize(
    ("sent", "seconds"), [(b"0.5", 0.5), (b"5", 5), (b"60", 5), (b"inf", 5), (b" 1e0 ", 1), (None, 5)]
)
def test_a_deadline_is_at_most_the_models(sent: bytes | None, seconds: float) -> None:
    headers = [(b"host", b"a")] if sent is None else [(b"host", b"a"), (b"x-request-timeout", sent)]
    assert seconds_of(headers, 5) == seconds


@pytest.mark.parametrize("sent", [b"", b"0", b"-1", b"nan", b"soon", b"\xff", b"1s", b"1" * 500 + b"x"])
def test_a_deadline_that_is_none_is_refused(sent: bytes) -> None:
    with pytest.raises(Refused, match="is no number of seconds above 0") as refused:
        seconds_of([(b"x-request-timeout", sent)], 5)
    assert refused.value.status == 422
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(("seconds", "fair"), [(0.0001, False), (0.49, False), (0.5, True), (5, True)])
def test_one_who_waits_for_less_than_a_tenth_of_the_models_time_blames_no_version(
    seconds: float, fair: bool
) -> None:
    assert is_fair(seconds, 5) is fair


def test_who_waited_in_vain_is_told_how_long() -> None:
    assert late(0.25).status == 504
    assert "within 0.25 seconds" in str(late(0.25))
