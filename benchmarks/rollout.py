"""Releases under constant load on a real gateway and TorchServe: what fails, what is lost, how long it takes.

`python -m benchmarks.rollout` prints the tables of docs/releases.md. It is a file of tests, for the services
of tests/services, which can be killed and started again; a restarted log store is tests/compose's, which has
one of its own.
"""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.contracts import PromoteRequest, ReconcileRequest
from tasks.release.promote import promote
from tasks.release.reconcile import reconcile
from tasks.release.rollback import roll_back
from tasks.serving.gateway import Gateway
from tasks.stores import registry
from tests.services.conftest import Load, Model, Platform, load_on, new_model
from tests.services.test_release import RULES, accepted, context, crashing, released, runs

__all__ = ["runs"]

REQUESTS = 10_000
PER_SECOND = 80.0
REST_SECONDS = 3.0


@dataclass
class Told:
    """The rows of the table, and the load that they are about."""

    load: Load
    rows: list[str] = field(default_factory=list)

    def failed(self) -> int:
        return len(self.load.faults) + len(self.load.refusals)

    def first_answer(self, run_id: str) -> float:
        """When a run first answered, waited for."""
        ends = time.monotonic() + 30
        while run_id not in {each["run_id"] for each in self.load.answers[-200:]}:
            if time.monotonic() > ends:
                pytest.fail(f"run {run_id} answers nobody")
            time.sleep(0.005)
        return time.monotonic()

    def settle(self) -> None:
        """Wait until what was held up is answered or has failed, so that no window counts another's."""
        time.sleep(REST_SECONDS)
        ends, steady = time.monotonic() + 60, 0
        while steady < 3 and time.monotonic() < ends:
            before = len(self.load.answers) + self.failed()
            time.sleep(1)
            came = len(self.load.answers) + self.failed() - before
            steady = steady + 1 if 0.7 * PER_SECOND <= came <= 1.3 * PER_SECOND else 0
        assert steady, "the load has not come back to its rate within a minute"

    def kinds(self, refusals: int, faults: int) -> str:
        """What failed since so many refusals and faults."""
        said = [f"HTTP {each.status}" for each in self.load.refusals[refusals:]]
        said += [each.partition("(")[0] for each in self.load.faults[faults:]]
        return ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(said).items()))

    @contextmanager
    def during(self, what: str) -> Iterator[list[str]]:
        """Count the requests that fail while something happens, and shortly after."""
        notes: list[str] = []
        answers, failed = len(self.load.answers), self.failed()
        refusals, faults = len(self.load.refusals), len(self.load.faults)
        yield notes
        self.settle()
        notes.append(self.kinds(refusals, faults))
        asked = len(self.load.answers) - answers + self.failed() - failed
        self.rows.append(
            f"| {what} | {asked:,} | {self.failed() - failed} | {'; '.join(filter(None, notes))} |"
        )


def children(process: int) -> list[int]:
    """The process's own children, as Linux tells them of each thread that started one."""
    listed = Path(f"/proc/{process}/task").glob("*/children")
    return [int(each) for file in listed for each in file.read_text(encoding="ascii").split()]


def worker_of(process: int, wanted: Callable[[str], bool]) -> int:
    """A process below this one whose command is wanted."""
    below = children(process)
    for each in below:
        if wanted(Path(f"/proc/{each}/cmdline").read_text(encoding="utf-8").replace("\0", " ")):
            return each
        below += children(each)
    raise LookupError("There is no such process.")


def test_ten_thousand_requests_over_everything_that_happens_to_a_model(
    platform: Platform, settled: Path
) -> None:
    model = new_model(settled)
    model.deploy("one")
    stepped = new_model(settled, release=RULES)
    stepped.deploy("the same")
    with (
        platform.listening(GATEWAY_WORKERS="2"),
        load_on(platform, model.name, per_second=PER_SECOND) as load,
    ):
        told = Told(load)
        _promote_and_roll_back(told, model)
        _kill(told, platform)
        while len(load.answers) + told.failed() < REQUESTS * 0.6:
            time.sleep(0.1)
    with load_on(platform, stepped.name, per_second=PER_SECOND) as other:
        canary = Told(other)
        _release(canary, stepped)
        while len(load.answers) + len(other.answers) < REQUESTS:
            time.sleep(0.1)
    rows = [*told.rows, *canary.rows, *map(_logged, (told, canary), (model, stepped))]
    head = ["| what happens | requests | failed | |", "|---|---|---|---|"]
    print("\n" + "\n".join([*head, *rows]), file=sys.stderr)


def _promote_and_roll_back(told: Told, model: Model) -> None:
    version = model.promoted("two")
    with told.during("a promotion, by the alias in MLflow") as notes:
        registry.set_champion(model.name, version.version)
        moved = time.monotonic()
        reconcile(ReconcileRequest(models=(model.name,), context=context("reconcile")))
        notes.append(
            f"first answer {told.first_answer(version.run_id) - moved:.2f} s after the alias was moved"
        )
    with told.during("a rollback") as notes:
        route = Gateway().history(model.name)[0].route
        began = time.monotonic()
        roll_back(model.name, "a person", "The benchmark says so.")
        whole = time.monotonic() - began
        assert route is not None
        notes.append(f"{whole:.2f} s with its checks")


def _kill(told: Told, platform: Platform) -> None:
    served = platform.torchserve.process
    gateway = platform.gateway.process
    assert served is not None
    assert gateway is not None
    with told.during("a killed worker of TorchServe") as notes:
        os.kill(worker_of(served.pid, lambda command: "model_service_worker" in command), signal.SIGKILL)
        notes.append("one of those that are loaded")
    with told.during("a killed gateway process, of two"):
        os.kill(worker_of(gateway.pid, lambda command: "spawn_main" in command), signal.SIGKILL)


def _release(told: Told, model: Model) -> None:
    with told.during("a release: shadow, 30 %, 100 %, promoted") as notes:
        acceptance, began = accepted(model), time.monotonic()
        decision = released(model, acceptance)
        asked = {"spec": model.spec, "acceptance": acceptance, "before": decision}
        rollout = promote(PromoteRequest(**asked, context=context("promote")))
        notes.append(f"{rollout.verdict} after {time.monotonic() - began:.1f} s")
    with told.during("a release of a version that fails 9 of 10 requests") as notes:
        acceptance, began = accepted(model, handler=crashing(0.9)), time.monotonic()
        decision = released(model, acceptance)
        seconds = time.monotonic() - began
        notes.append(f"{decision.verdict} in stage {decision.stage} after {seconds:.1f} s")


def _logged(told: Told, model: Model) -> str:
    """How many answers that callers got the log lacks."""
    time.sleep(REST_SECONDS)
    logged, after, gateway = set(), 0, Gateway()
    while rows := gateway.log("predictions", model.name, after):
        logged |= {row["prediction_id"] for row in rows}
        after = rows[-1]["sequence"]
    lost = len(told.load.ids - logged)
    asked = len(told.load.answers) + told.failed()
    return f"| all of it | {asked:,} | {told.failed()} | {lost} log rows lost |"


def main() -> None:
    """Run it with the services of the tests."""
    asked = ["-q", "-n0", "-s", "-p", "tests.conftest", "-p", "tests.services.conftest", __file__]
    sys.exit(pytest.main([*asked, "--timeout=900", "-o", "python_files=rollout.py"]))


if __name__ == "__main__":
    main()
