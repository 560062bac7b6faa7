"""What benchmarks/serving.py judges and measures: on numbers that are made up, and on real processes."""

import os
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from benchmarks.serving import goals, processes
from benchmarks.serving.load import Point
from benchmarks.serving.profile import heaviest

FLEES = """
    import os, signal, sys, time
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    time.sleep(600)
"""


def points(rate: float, p50: float = 1.0) -> list[Point]:
    """Three rounds around a rate, of which the middle one counts."""
    return [Point(rate * share, p50, 9.0, 100.0, 300.0, 0.0) for share in (0.1, 1.0, 1.5)]


def results(**rates: float) -> dict[tuple[str, int], list[Point]]:
    return {(name.replace("_", "-"), goals.BUSY): points(rate) for name, rate in rates.items()}


def verdicts(found: dict[tuple[str, int], list[Point]]) -> dict[str, bool | None]:
    return {goal.says: goal.met for goal in goals.judge(found, "gateway-sqlite")}


def test_the_gateway_is_held_against_the_better_way_to_run_torchserve() -> None:
    met = verdicts(results(gateway_sqlite=800, torchserve=1000, torchserve_single=400))
    missed = verdicts(results(gateway_sqlite=800, torchserve=400, torchserve_single=1001))
    [says] = [says for says in met if "0.8 of TorchServe" in says]
    assert met[says] is True
    assert missed[says] is False


def test_a_peer_that_was_not_measured_meets_no_goal_and_misses_none() -> None:
    found = verdicts(results(gateway_sqlite=3000, kserve=1000, bentoml=1001))
    of_peers = {says.split()[9]: met for says, met in found.items() if "3 times" in says}
    assert of_peers == {"kserve": True, "bentoml": False, "litserve": None, "mlflow": None}


def test_what_the_gateway_adds_is_told_by_the_medians_of_one_connection() -> None:
    through, direct = ("gateway-sqlite", goals.ALONE), ("torchserve-single", goals.ALONE)
    slow = ("torchserve", goals.ALONE)
    good = verdicts({through: points(1, p50=1.4), direct: points(1, p50=0.9), slow: points(1, p50=1.9)})
    bad = verdicts({through: points(1, p50=1.5), direct: points(1, p50=0.9), slow: points(1, p50=1.9)})
    [says] = [says for says in good if "adds at most" in says]
    assert (good[says], bad[says]) == (True, False)


def test_a_server_s_child_that_left_its_session_and_ignores_sigterm_does_not_outlive_it(
    tmp_path: Path,
) -> None:
    processes.adopt_orphans()
    told = tmp_path / "pid"
    command = [sys.executable, "-c", textwrap.dedent(FLEES), str(told)]
    with processes.running(command, {}, tmp_path / "log"):
        while not told.exists() or not told.read_text(encoding="utf-8"):
            pass
        child = int(told.read_text(encoding="utf-8"))
        assert child in processes.processor_seconds()
        assert processes.memory_mb() > 1
    assert not psutil.pid_exists(child)


def test_a_process_that_is_new_counts_from_its_start() -> None:
    assert processes.used_between({1: 2.0, 2: 7.0}, {1: 3.5, 3: 0.5}) == pytest.approx(2.0)


def test_the_processor_time_of_the_machine_is_at_least_our_own() -> None:
    machine, own = processes.machine_seconds(), processes.own_seconds()
    until = own + 0.5
    while processes.own_seconds() < until:
        os.getpid()
    assert processes.machine_seconds() - machine > 0.4


def test_the_heaviest_functions_are_told_with_and_without_what_they_called(tmp_path: Path) -> None:
    stacks = tmp_path / "stacks.txt"
    stacks.write_text("main;ask;write 30\nmain;log 10\n", encoding="utf-8")
    told = list(heaviest(stacks))
    assert told[:2] == [" 75.0% itself: write", " 25.0% itself: log"]
    assert "100.0% with what it called: main" in told
