"""The end of the platform that the other system tests used; they have run before."""

import pytest

from embedded import processes
from tests.system.conftest import Up, embedded


@pytest.mark.platform
def test_stop_from_another_shell_ends_the_platform_and_who_waits_for_it(up: Up) -> None:
    down = embedded(up.home, "down")
    assert down.communicate(timeout=60)[0] == "Stopped the platform.\n"
    assert up.process.wait(60) == 0
    assert up.said.endswith("The platform was stopped from elsewhere.\n")
    assert down.returncode == 0
    assert processes.find_marked(up.home) == []
