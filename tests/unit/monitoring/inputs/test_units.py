import numpy as np
import pandas as pd
import pytest

from tasks.contracts import ColumnProfile, ColumnScale
from tasks.monitoring.inputs.units import FACTORS, changed_unit
from tasks.monitoring.profiles.columns import followed
from tasks.monitoring.profiles.profile import profile
from tasks.monitoring.profiles.scales import set_scales
from tasks.stores.sql_session import sql_session
from tests.unit.monitoring.inputs.simulated import DAY, START

ROWS = 500
COLUMNS = {
    "a long tail": lambda rng, rows: np.exp(rng.normal(3, 1, rows)),
    "minutes of a day": lambda rng, rows: np.clip(rng.normal(815, 280, rows), 1, 1439).round(),
    "ages": lambda rng, rows: rng.gamma(9, 5, rows).round() + 1,
}


def profiled(
    known: np.ndarray, seen: np.ndarray
) -> tuple[ColumnScale, dict[str, ColumnProfile], dict[str, ColumnProfile]]:
    """The scale of a column's reference, and both profiles on it."""
    columns = followed({"x": "float64"})
    with sql_session() as session:
        session.register("known", pd.DataFrame({"x": known}))
        session.register("seen", pd.DataFrame({"x": seen}))
        scales = set_scales(session, "known", columns)
        both = [profile(session, name, columns, scales, START, START + DAY) for name in ("known", "seen")]
    return scales[0], dict(both[0].columns), dict(both[1].columns)


@pytest.mark.parametrize("factor", [*FACTORS, *(1 / factor for factor in FACTORS)])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_unit_that_programs_confuse_is_recognised(name: str, factor: float) -> None:
    rng = np.random.default_rng(5)
    known, seen = COLUMNS[name](rng, 20_000), COLUMNS[name](rng, ROWS) * factor

    found = changed_unit(*profiled(known, seen))

    assert found is not None
    assert found[0] == pytest.approx(factor)


@pytest.mark.parametrize("factor", [0.0, 0.02, 0.25, 0.75, 1.3, 5.0, 40.0, 300.0, 20_000.0])
@pytest.mark.parametrize("name", COLUMNS)
def test_what_grew_or_shrank_by_another_factor_is_no_unit(name: str, factor: float) -> None:
    rng = np.random.default_rng(6)
    assert changed_unit(*profiled(COLUMNS[name](rng, 20_000), COLUMNS[name](rng, ROWS) * factor)) is None


def test_hours_for_minutes_are_recognised_though_they_are_whole_numbers() -> None:
    rng = np.random.default_rng(7)
    minutes = COLUMNS["minutes of a day"]
    found = changed_unit(*profiled(minutes(rng, 20_000), minutes(rng, ROWS) // 60))
    assert found == (pytest.approx(1 / 60), FACTORS[60.0])


def test_numbers_below_nothing_have_no_factor() -> None:
    rng = np.random.default_rng(8)
    assert changed_unit(*profiled(rng.normal(0, 1, 20_000), rng.normal(-50, 1, ROWS))) is None
