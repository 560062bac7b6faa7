"""Holm's correction is the library's."""

import pytest
from statsmodels.stats.multitest import multipletests

from tasks.gate.rules.holm import SURE, are_sure


@pytest.mark.parametrize(
    "p_values", [[0.04], [0.06], [0.03, 0.01, 0.04], [0.03, 0.01, 0.2, 0.001], [0.02, 0.02, 0.02, 0.5], [1.0]]
)
def test_it_is_the_librarys(p_values: list[float]) -> None:
    assert are_sure(p_values) == multipletests(p_values, alpha=SURE, method="holm")[0].tolist()


def test_of_nothing_nothing_is_sure() -> None:
    assert are_sure([]) == []
