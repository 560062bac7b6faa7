"""Releases under constant load on a real gateway and TorchServe: what fails, what is lost, how long it takes.

`python -m benchmarks.rollout` prints the table of docs/releases.md; docs/benchmarks.md says what it measures.
It is a file of tests, for the services of tests/services, which can be killed and started again.
"""

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from benchmarks.rollout_table import Told, Window
from benchmarks.serving import postgresql
from tasks.contracts import Action, PromoteRequest, ReconcileRequest
from tasks.ledger import entries
from tasks.release.promote import promote
from tasks.release.reconcile import reconcile
from tasks.release.rollback import roll_back
from tasks.serving.gateway import Gateway
from tasks.serving.torchserve_api import ManagementApi
from tasks.settings import settings
from tasks.stores import registry
from tests.services.conftest import Load, Model, Platform, load_on, new_model
from tests.services.test_release import RULES, accepted, context, crashing, released, runs

__all__ = ["runs"]

REQUESTS = 10_000
PER_SECOND = 80.0
ROUNDS = 5
AWAY_SECONDS = 5.0


def test_ten_thousand_requests_over_everything_that_happens_to_a_model(
    platform: Platform, settled: Path, tmp_path: Path
) -> None:
    model, stepped = new_model(settled), new_model(settled, release=RULES)
    model.deploy("one")
    stepped.deploy("the same")
    with platform.listening(GATEWAY_WORKERS="2"), _load(platform, model) as load:
        told = Told(load, PER_SECOND)
        for number in range(ROUNDS):
            _promote_and_roll_back(told, model, f"two {number}")
            _kill(told, platform, model)
    with platform.listening(GATEWAY_WORKERS="2"), _load(platform, stepped) as load:
        canary = Told(load, PER_SECOND)
        _release(canary, stepped)
        while told.asked + canary.asked < REQUESTS:
            time.sleep(0.1)
    rows = [*told.rows(), *canary.rows()]
    rows.append(told.total("all of the promotions, rollbacks and kills above", _lost(told, model)))
    rows.append(canary.total("all of the two releases above", _lost(canary, stepped)))
    with _store(platform, tmp_path) as restart:
        rows += _restart_log_store(platform, new_model(settled), restart)
    head = ["| what happens | requests | failed | sent again | |", "|---|---|---|---|---|"]
    print("\n" + "\n".join([*head, *rows]), file=sys.stderr)


@contextmanager
def _load(platform: Platform, model: Model) -> Iterator[Load]:
    with load_on(platform, model.name, per_second=PER_SECOND, again=True) as load:
        time.sleep(2)
        yield load


def _promote_and_roll_back(told: Told, model: Model, mark: str) -> None:
    version = model.promoted(mark)
    with told.during("a promotion, by the alias in MLflow") as window:
        moved = time.monotonic()
        registry.set_champion(model.name, version.version)
        reconcile(ReconcileRequest(models=(model.name,), context=context("reconcile")))
        window.took("to the first answer", told.first(version.run_id) - moved)
    with told.during("a rollback") as window:
        began = time.monotonic()
        roll_back(model.name, "a person", f"The benchmark says so of {mark}.")
        window.took("with all checks", time.monotonic() - began)
    last = told.last(version.run_id)
    window.took("to the last answer of the version that is left", last - began)
    window.took("the same from its entry in the ledger", last - _decided(model))


def _decided(model: Model) -> float:
    """When the newest rollback was written into the ledger, by the clock of `time.monotonic`."""
    [entry] = entries.newest_of(model.name, {Action.ROLLBACK}, 1)
    return entry.at.timestamp() - time.time() + time.monotonic()


def _kill(told: Told, platform: Platform, model: Model) -> None:
    gateway = platform.gateway.process
    assert gateway is not None
    with told.during("a killed worker of the version that serves, its only one") as window:
        worker, killed = _worker(model), time.monotonic()
        os.kill(worker, signal.SIGKILL)
        window.took("to the next answer", told.next_after(killed + 0.05) - killed)
    with told.during("a killed gateway process, of two"):
        os.kill(_below(gateway.pid, lambda command: "spawn_main" in command), signal.SIGKILL)


def _worker(model: Model) -> int:
    route, chosen = Gateway().route(model.name), settings()
    assert route is not None
    urls = (chosen.torchserve_management_url, chosen.torchserve_inference_url)
    [worker] = ManagementApi(*urls, chosen.key_files[0]).describe(model.name, route.backend_version)[
        "workers"
    ]
    return int(worker["pid"])


def _release(told: Told, model: Model) -> None:
    with told.during("a release: shadow, 30 %, 100 %, promoted") as window:
        acceptance, began = accepted(model), time.monotonic()
        decision = released(model, acceptance)
        asked = {"spec": model.spec, "acceptance": acceptance, "before": decision}
        rollout = promote(PromoteRequest(**asked, context=context("promote")))
        window.took(rollout.verdict, time.monotonic() - began)
    with told.during("a release of a version that fails 9 of 10 requests") as window:
        acceptance, began = accepted(model, handler=crashing(0.9)), time.monotonic()
        decision = released(model, acceptance)
        window.took(f"{decision.verdict} in stage {decision.stage}", time.monotonic() - began)


def _restart_log_store(platform: Platform, model: Model, restart: Callable[[Window], None]) -> Iterator[str]:
    model.deploy("one")
    with _load(platform, model) as load:
        told = Told(load, PER_SECOND)
        with told.during(f"a log store that is away for {AWAY_SECONDS:g} s") as window:
            restart(window)
    yield from told.rows()
    yield told.total("all around the restart of the log store", _lost(told, model))


@contextmanager
def _store(platform: Platform, folder: Path) -> Iterator[Callable[[Window], None]]:
    """Two processes of the gateway on a log store of their own, and what takes it away for a while."""
    if postgresql.missing_postgresql() is not None:
        with platform.listening(GATEWAY_WORKERS="2"):
            yield lambda window: _lock(platform, window)
        return
    with postgresql.server(folder) as server:
        running = server.running()
        running.__enter__()
        try:
            with platform.listening(GATEWAY_WORKERS="2", GATEWAY_DATABASE_URL=server.url):

                def restart(window: Window) -> None:
                    nonlocal running
                    running.__exit__(None, None, None)
                    window.notes.append(f"PostgreSQL; the gateway says {_status(platform)}")
                    time.sleep(AWAY_SECONDS)
                    running = server.running()
                    running.__enter__()

                yield restart
        finally:
            running.__exit__(None, None, None)


def _lock(platform: Platform, window: Window) -> None:
    """What comes nearest to a stopped server where SQLite holds the log."""
    with sqlite3.connect(platform.database_file) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(AWAY_SECONDS)
    window.notes.append("SQLite, locked")


def _status(platform: Platform) -> str:
    time.sleep(1)
    found: str = requests.get(f"{platform.gateway_url}/healthz", timeout=60).json()["status"]
    return found


def _lost(told: Told, model: Model) -> int:
    """How many answers that callers got the log lacks."""
    time.sleep(3)
    logged, after, gateway = set(), 0, Gateway()
    while rows := gateway.log("predictions", model.name, after):
        logged |= {row["prediction_id"] for row in rows}
        after = rows[-1]["sequence"]
    return len(told.load.ids - logged)


def _below(process: int, wanted: Callable[[str], bool]) -> int:
    """A process below this one whose command is wanted."""
    below = _children(process)
    for each in below:
        if wanted(Path(f"/proc/{each}/cmdline").read_text(encoding="utf-8").replace("\0", " ")):
            return each
        below += _children(each)
    raise LookupError("There is no such process.")


def _children(process: int) -> list[int]:
    """The process's own children, as Linux tells them of each thread that started one."""
    listed = Path(f"/proc/{process}/task").glob("*/children")
    return [int(each) for file in listed for each in file.read_text(encoding="ascii").split()]


def main() -> None:
    """Run it with the services of the tests."""
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # as the Makefile does: a process would compile PyTorch anew
    asked = ["-q", "-n0", "-s", "-p", "tests.conftest", "-p", "tests.services.conftest", __file__]
    sys.exit(pytest.main([*asked, "--timeout=900", "-o", "python_files=rollout.py"]))


if __name__ == "__main__":
    main()
