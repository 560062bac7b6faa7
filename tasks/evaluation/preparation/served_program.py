"""The program behind `replay`: ask an archive's handler, and record what it gives to its network.

The network is the first PyTorch module that the handler calls for a batch. It is watched from outside, so
that nothing which the handler does to an instance, anywhere, escapes.

`python -m tasks.evaluation.preparation.served_program --archive X.mar --work FOLDER --output served.npz`
"""

import inspect
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.errors import InvalidProject
from tasks.evaluation.preparation.inputs import CannotCompare, Fields, Inputs, by_row
from tasks.evaluation.score_program import Statuses, ask, load
from tasks.runtime.leaving import run_and_leave

Call = dict[str, Any]
GOOD = 200


class Watch:
    """The calls of the first module that is called from outside every other."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._network: Any = None
        self._depth = 0

    @contextmanager
    def watching(self, torch: Any) -> Iterator[list[Call]]:
        """Watch all modules; gives the calls, as they come."""
        module, original = torch.nn.Module, torch.nn.Module.__call__

        def watched(called: Any, *args: Any, **kwargs: Any) -> Any:
            self._note(called, args, kwargs)
            self._depth += 1
            try:
                return original(called, *args, **kwargs)
            finally:
                self._depth -= 1

        module.__call__ = watched
        try:
            yield self.calls
        finally:
            module.__call__ = original

    def _note(self, called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._depth:
            return
        self._network = called if self._network is None else self._network
        if self._network is called:
            self.calls.append(_by_name(called.forward, args, kwargs))


def _by_name(forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The arguments of a call, by the names of the parameters."""
    signature = inspect.signature(forward)
    named: Call = {}
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            named |= {f"{name}.{place}": one for place, one in enumerate(value)}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            named |= value
        else:
            named[name] = value
    return named


def record(handler: Any, context: Statuses, groups: list[dict[int, Call]]) -> Inputs:
    """Ask for each instance alone, as a request does, and then for those of a group together, as they were
    prepared for training.
    """
    found = Inputs()
    for group in groups:
        for row, instance in group.items():
            [(status, answer)] = ask(handler, context, [instance])
            found.answers[row] = answer
            if status != GOOD:
                found.refused[row] = str(answer.get("error"))
        answered = {row: instance for row, instance in group.items() if row not in found.refused}
        if answered:
            try:
                found.rows |= _prepared(handler, context, answered)
            except CannotCompare as error:
                found.unknown = f"{error}."
    return found


def _prepared(handler: Any, context: Statuses, instances: dict[int, Call]) -> dict[int, Fields]:
    torch = sys.modules.get("torch")
    if torch is None:
        raise CannotCompare("the handler imports no PyTorch, so what it gives to its model cannot be seen")
    with Watch().watching(torch) as calls:
        ask(handler, context, list(instances.values()))
    if not calls:
        raise CannotCompare(
            "the handler calls no PyTorch module as `module(...)`, so what it gives to its model cannot be "
            "seen"
        )
    rows = [row for call in calls for row in by_row(call)]
    if len(rows) != len(instances):
        raise CannotCompare(f"the network was given {len(rows)} rows for {len(instances)} instances")
    return dict(zip(instances, rows, strict=True))


def main(
    archive: Annotated[Path, typer.Option()],
    work: Annotated[Path, typer.Option(help="A folder with instances.json, to unpack to.")],
    output: Annotated[Path, typer.Option()],
) -> None:
    try:
        handler, context = load(archive, work / "archive")
    except InvalidProject as error:
        print(error, flush=True)
        raise typer.Exit(error.exit_code) from error
    groups = json.loads((work / "instances.json").read_text(encoding="utf-8"))
    record(handler, context, [{int(row): one for row, one in group.items()} for group in groups]).save(output)


if __name__ == "__main__":
    run_and_leave(lambda: typer.run(main))
