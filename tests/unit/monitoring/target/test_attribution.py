"""What is told of the columns that answers rest on, from how far answers move."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tasks.contracts import Attribution
from tasks.monitoring.attribution.decide import Changes, shares, signals_of

END = datetime(2026, 4, 1, tzinfo=UTC)
COLUMNS = ("hour", "origin", "miles")
USUAL = (0.5, 0.3, 0.2)


def changes(
    scale: tuple[float, ...], seed: int, *, rows: int = 400, days: int = 30, restless: float = 0.0
) -> Changes:
    """Rows whose answers move by each column so far on average; days differ by `restless`."""
    rng = np.random.default_rng(seed)
    day = rng.integers(0, days, rows)
    own = np.exp(restless * rng.standard_normal((days, len(scale))))
    return Changes(rng.exponential(np.array(scale), (rows, len(scale))) * own[day], day)


def found(window: Changes) -> Attribution:
    return Attribution(
        model="m",
        run_id="r",
        month="2026-03",
        start=END - timedelta(days=30),
        end=END,
        reference_rows=400,
        rows=400,
        days=30,
        columns=shares(COLUMNS, changes(USUAL, 0), window),
        seconds=1.0,
    )


def test_a_column_that_carries_much_more_is_named_and_acts_on_nothing() -> None:
    more, less = signals_of(found(changes((0.15, 0.3, 0.8), 1)))
    assert (more.subject, more.reason, more.level) == ("miles", "attribution", "note")
    assert more.value == pytest.approx(0.64, abs=0.05)
    assert "rest more on miles" in more.why
    assert (less.subject, "rest less on hour" in less.why) == ("hour", True)


def test_shares_add_up_and_lie_in_their_intervals() -> None:
    told = found(changes(USUAL, 2)).columns
    assert sum(each.window for each in told) == pytest.approx(1)
    assert all(each.low <= each.window - each.reference <= each.high for each in told)


@pytest.mark.parametrize("restless", [0.0, 1.0])
def test_months_that_differ_by_chance_alone_tell_nothing(restless: float) -> None:
    """Also where days differ much, which rows that are drawn one by one would not show."""
    told = [signals_of(found(changes(USUAL, seed, restless=restless))) for seed in range(3, 43)]
    assert sum(map(bool, told)) <= 1


def test_a_change_below_the_floor_is_not_told_however_many_rows() -> None:
    assert signals_of(found(changes((0.55, 0.27, 0.18), 1, rows=20_000))) == ()


def test_answers_that_nothing_moves_rest_on_no_column() -> None:
    assert found(Changes(np.zeros((400, 3)), np.arange(400))).columns == ()
