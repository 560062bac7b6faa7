"""What the tests of the page begin with."""

import pytest

from tasks.monitoring.page.of_check import Checked
from tests.unit.monitoring.page.world import checked


@pytest.fixture(scope="session")
def changed() -> Checked:
    """A check in which the amount, the missing names and the new ones have all changed."""
    return checked(shift=1.5, missing=0.2, new=0.1)


@pytest.fixture(scope="session")
def quiet() -> Checked:
    return checked()
