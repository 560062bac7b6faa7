"""Numbers are told with the digits that say something."""

import pytest

from tasks.provenance.numbers import tell_number


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, ""),
        ("a day", "a day"),
        (0.0, "0"),
        (0.039603960396039604, "0.0396"),
        (1.0281996785647754e-08, "1.028e-08"),
        (-12.5, "-12.5"),
        (1246013.0, "1,246,013"),
        (-1.5e200, "-1.5e+200"),
        (float("nan"), "nan"),
    ],
)
def test_a_number_has_the_digits_that_say_something(value: float | str | None, told: str) -> None:
    assert tell_number(value) == told
