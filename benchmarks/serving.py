"""How fast the model is served: TorchServe alone, through the gateway, and by other servers, in one run.

    .perennial/envs/dev/bin/python benchmarks/serving.py [CONTENDER...] [--rounds 3] [--seconds 4] [--anyway]

Every contender serves the same network with the same weights, made by the project's own training, and is
asked for the same text by `wrk` with 1, 8 and 32 connections. In each round every contender is started anew,
warmed up, measured and stopped, every other round in reverse order. A number stands for the median of the
rounds. The load generator and the server share the machine's processor; what other programs used meanwhile
is measured too, and a point during which that was more than 0.15 core is measured again.

It ends with a table and the goals, and with code 1 where one is missed. docs/benchmarks.md says more.
"""

import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks.serving import goals, peers, processes, product, profile  # noqa: E402 - found by the path above
from benchmarks.serving.contender import Contender, Target, require_the_model  # noqa: E402
from benchmarks.serving.load import Point, measure, require_wrk  # noqa: E402
from benchmarks.serving.model import ServedModel, served_model  # noqa: E402

CONNECTIONS = (1, 8, 32)
WARM_CONNECTIONS = 8
QUIET_CORES = 0.15
"""What other programs may use while a point is measured; above it, the point is measured again."""
TRIES = 4
CONTENDERS = {each.name: each for each in (*product.contenders(), *peers.contenders())}
KNOWN = ", ".join(CONTENDERS)
JUDGED = "gateway-sqlite"


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which contenders of {KNOWN}; else all.")] = None,
    *,
    rounds: Annotated[int, typer.Option(help="How often each is started and measured.")] = 3,
    seconds: Annotated[float, typer.Option(help="How long each number of connections is measured.")] = 4,
    warm: Annotated[float, typer.Option(help="For how many seconds each is asked before that.")] = 20,
    anyway: Annotated[bool, typer.Option("--anyway", help="Take every point, however busy it is.")] = False,
    judged: Annotated[str, typer.Option(help="The contender that the gateway's goals are about.")] = JUDGED,
    profiled: Annotated[
        Path | None, typer.Option("--profile", help="Write a profile of that one into this folder instead.")
    ] = None,
) -> None:
    """Measure, and print a table and the goals."""
    require_wrk()
    chosen = choose(names or [], CONTENDERS)
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped then, too
    model = served_model()
    typer.echo(
        f"The model: {model.archive.model}, trained with one pass over its example data; "
        f"archive {model.archive.sha256[:16]}, {model.archive.size_bytes / 1e6:.1f} MB."
    )
    if profiled is not None:
        run_profile(*choose([judged], CONTENDERS), model, profiled, seconds)
        return
    measuring = Measuring(model, seconds, warm, 1 if anyway else TRIES)
    for turn in range(1, rounds + 1):
        for contender in chosen if turn % 2 else reversed(chosen):
            measuring.take(contender, turn)
    say_table(chosen, measuring)
    say_goals(measuring.points, judged)


def choose(names: list[str], known: dict[str, Contender]) -> list[Contender]:
    """Those that are named and can be measured here; of the others it is said why not."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"There is no contender {', '.join(unknown)}. There are {KNOWN}.")
    chosen: list[Contender] = []
    for contender in [known[name] for name in names] or known.values():
        if reason := contender.missing():
            typer.echo(f"Without {contender.name}: {reason}.")
        else:
            chosen.append(contender)
    return chosen


class Measuring:
    """The points of all rounds, and how long each start took."""

    def __init__(self, model: ServedModel, seconds: float, warm: float, tries: int) -> None:
        self.points: dict[tuple[str, int], list[Point]] = defaultdict(list)
        self.starts: dict[str, list[float]] = defaultdict(list)
        self._model = model
        self._seconds, self._warm, self._tries = seconds, warm, tries

    def take(self, contender: Contender, turn: int) -> None:
        """One round of one contender."""
        began = time.monotonic()
        with started(contender, self._model) as (target, folder):
            took = time.monotonic() - began
            self.starts[contender.name].append(took)
            typer.echo(f"round {turn}: {contender.name}, started in {took:.1f} s")
            require_the_model(target, self._model, contender.name)
            measure(target, WARM_CONNECTIONS, self._warm, folder)
            for connections in CONNECTIONS:
                point = self._quietest(target, connections, folder)
                self.points[contender.name, connections].append(point)
                typer.echo(f"    {connections:>2} connections: {tell(point)}")

    def _quietest(self, target: Target, connections: int, folder: Path) -> Point:
        """The first point that is quiet enough, or the quietest of so many tries."""
        found: list[Point] = []
        while len(found) < self._tries and (not found or found[-1].others > QUIET_CORES):
            found.append(measure(target, connections, self._seconds, folder))
        return min(found, key=lambda point: point.others)


@contextmanager
def started(contender: Contender, model: ServedModel) -> Iterator[tuple[Target, Path]]:
    """A contender in an empty folder; afterwards none of its processes is left."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as name:
        try:
            with contender.start(model, Path(name)) as target:
                yield target, Path(name)
        finally:
            left = processes.end_all()
        if left:
            typer.echo(f"{contender.name} left processes behind, which were ended: {'; '.join(left)}")


def run_profile(contender: Contender, model: ServedModel, folder: Path, seconds: float) -> None:
    """A profile of the gateway's processes while it is asked with the most connections."""
    profile.require_py_spy()
    with started(contender, model) as (target, work):
        measure(target, WARM_CONNECTIONS, seconds, work)
        for line in profile.take(target, CONNECTIONS[-1], max(seconds, 10), work, folder):
            typer.echo(line)


def tell(point: Point) -> str:
    return (
        f"{point.rate:8,.0f}/s  p50 {point.p50:7.2f} ms  p99 {point.p99:7.2f} ms  {point.processor:6,.0f} us "
        f"{point.memory:5,.0f} MB  (others: {point.others:.2f} cores)"
    )


def say_table(chosen: list[Contender], measuring: Measuring) -> None:
    """The medians: of each number of connections requests a second, p50 and p99, and of 32 the rest."""
    heads = [f"{count} conn.: /s, p50, p99 ms" for count in CONNECTIONS]
    typer.echo("\n| served by | " + " | ".join(heads) + " | us/request | MB | start s | others |")
    typer.echo("|---" * (len(heads) + 5) + "|")
    for contender in chosen:
        by_count = [measuring.points[contender.name, count] for count in CONNECTIONS]
        cells = [
            f"{of(points, 'rate'):,.0f}, {of(points, 'p50'):.2f}, {of(points, 'p99'):.1f}"
            for points in by_count
        ]
        last, others = by_count[-1], max(point.others for points in by_count for point in points)
        start = median(measuring.starts[contender.name])
        noisy = f"{others:.2f}{' (!)' if others > QUIET_CORES else ''}"
        rest = f"{of(last, 'processor'):,.0f} | {of(last, 'memory'):,.0f} | {start:.1f} | {noisy}"
        typer.echo(f"| {contender.name} | {' | '.join(cells)} | {rest} |")
    typer.echo(
        "us/request, of the server's processes, and MB, their proportional set size: at 32 connections."
    )


def of(points: list[Point], name: str) -> float:
    """The rounds' median of one number."""
    values: list[Any] = [getattr(point, name) for point in points]
    return float(median(values))


def say_goals(points: goals.Results, judged: str) -> None:
    """Each goal and what was found; ends with code 1 where one is missed."""
    typer.echo("")
    found = goals.judge(points, judged)
    for goal in found:
        verdict = {True: "met", False: "MISSED", None: "-"}[goal.met]
        typer.echo(f"{verdict:6} {goal.says}: {goal.found}")
    missed = [f"{goal.says}: {goal.found}" for goal in found if goal.met is False]
    if missed:
        typer.echo(f"goals missed: {'; '.join(missed)}")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
