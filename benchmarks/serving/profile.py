"""Where the gateway's time goes: py-spy looks at its processes while it is asked."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.serving import processes
from benchmarks.serving.contender import Target
from benchmarks.serving.load import measure

PY_SPY = Path(sys.executable).with_name("py-spy")
MOST = 25
SAMPLES_A_SECOND = 500


def require_py_spy() -> None:
    """End with what to run, where py-spy is missing."""
    if not PY_SPY.exists():
        raise SystemExit(f"{PY_SPY} is missing. It belongs to the environment of the tests: make setup-dev")


def take(target: Target, connections: int, seconds: float, work: Path, folder: Path) -> Iterator[str]:
    """Look at each process of the gateway for some seconds; yields what to tell, a line each.

    Twice: py-spy writes either the picture or the stacks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gateways = [each.pid for each in processes.of_servers() if "perennial_gateway" in each.cmdline()]
    if not gateways:
        raise SystemExit("There is no process of the gateway. Choose a contender with --judged gateway-...")
    for kind, ending in (("flamegraph", "svg"), ("raw", "txt")):
        with ExitStack() as recording:
            for pid in gateways:
                command = _py_spy(pid, seconds, kind, folder / f"gateway-{pid}.{ending}")
                recording.enter_context(_until_written(command, work / "py-spy.log"))
            point = measure(target, connections, seconds + 1, work)
        yield f"{point.rate:,.0f} requests/s while py-spy looked"
    for pid in gateways:
        yield f"The flame graph is {folder / f'gateway-{pid}.svg'}. Most of the time was spent in:"
        yield from heaviest(folder / f"gateway-{pid}.txt")


def _py_spy(pid: int, seconds: float, kind: str, file: Path) -> list[str]:
    options = ["--rate", str(SAMPLES_A_SECOND), "--duration", str(round(seconds)), "--format", kind]
    return [str(PY_SPY), "record", "--pid", str(pid), *options, "--output", str(file)]


@contextmanager
def _until_written(command: list[str], log: Path) -> Iterator[None]:
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=output) as looking:
        yield
        if looking.wait() != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{processes.tail(log)}")


def heaviest(stacks: Path) -> Iterator[str]:
    """The functions in which most samples were, themselves and with what they called."""
    own: Counter[str] = Counter()
    under: Counter[str] = Counter()
    for line in stacks.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        under.update(dict.fromkeys(frames, int(count)))
    total = max(own.total(), 1)
    for title, counted in (("itself", own), ("with what it called", under)):
        for frame, count in counted.most_common(MOST):
            yield f"{count / total:6.1%} {title}: {frame}"
