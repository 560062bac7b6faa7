"""A version that sleeps while nobody asks for it: looking does not wake it, and tells what waking costs."""

from pathlib import Path

from tasks.release.standing import standing
from tasks.serving.oip import oip
from tests.services.conftest import HANDLER, Platform, new_model, until

SLOW_START = HANDLER.replace("        self.version = ", "        time.sleep(2)\n        self.version = ")


def test_who_looks_does_not_wake_it_and_is_told_when_it_wakes_too_late_for_its_callers(
    platform: Platform, settled: Path
) -> None:
    model = new_model(settled, backend="oip", idle_seconds=4, timeout_seconds=1)
    model.deploy("one", handler=SLOW_START)

    def told() -> list[str]:
        """Of the version; MLflow is only a file here, which `standing` cannot ask."""
        return [each for each in standing(model.name).faults if each.startswith("Version")]

    def sleeps() -> bool:
        return oip().describe(model.name)[0].asleep

    until(sleeps, what="the version to sleep")
    assert (told(), sleeps()) == ([], True)

    assert platform.predict(model.name, "hello").status_code == 504
    until(lambda: oip().describe(model.name)[0].cold_start_seconds is not None)

    [fault] = told()
    assert "to wake, but its callers wait for 1 s" in fault
    assert "Raise serving.timeout_seconds" in fault
    model.remove()
