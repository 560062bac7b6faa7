"""What is tested stays loaded, and what a killed test left behind keeps nothing loaded."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.release.on_trial import on_trial, routes_on_trial
from tasks.settings import PROJECT, settings
from tests.unit.release.test_states import route


@pytest.fixture
def store(home: Path) -> Path:
    return settings().model_store


def test_a_version_is_on_trial_until_the_test_of_it_ends_however_that_ends(store: Path) -> None:
    with on_trial(route("1")), on_trial(route("2")):
        with pytest.raises(ZeroDivisionError), on_trial(route("1")):
            1 / len(routes_on_trial("another"))
        assert sorted(each.model_version for each in routes_on_trial("m")) == ["1", "2"]

    assert routes_on_trial("m") == []
    assert list(store.glob(".m.*")) == [store / ".m.lock"]


def test_a_test_that_was_killed_keeps_nothing_loaded(store: Path) -> None:
    program = (
        "import time\n"
        "from tasks.release.on_trial import on_trial\n"
        "from tests.unit.release.test_states import route\n"
        "with on_trial(route('1')):\n"
        "    print('testing', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=PROJECT) as tester:
        assert tester.stdout is not None
        assert tester.stdout.readline() == b"testing\n"
        assert [each.model_version for each in routes_on_trial("m")] == ["1"]
        tester.send_signal(signal.SIGKILL)

    assert routes_on_trial("m") == []
    assert list(store.glob(".m.*.trial")) == []
