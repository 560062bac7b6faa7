"""A share is told in percent, so that it is told from none and from all."""

import pytest

from tasks.percent import percent


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.05, "5 %"),
        (0.12345, "12.35 %"),
        (1, "100 %"),
        (0, "0 %"),
        (0.99999, "99.999 %"),
        (0.999999, "99.9999 %"),
        (1e-6, "0.0001 %"),
        (-0.25, "-25 %"),
        (-999.0, "-99,900 %"),
    ],
)
def test_a_share_is_told_in_percent(share: float, told: str) -> None:
    assert percent(share) == told
