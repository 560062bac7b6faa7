"""The program behind `tasks.evaluation.scoring`: unpack one archive,
import its handler as TorchServe does, and feed it rows.

`python -m tasks.evaluation.score_program --archive X.mar --rows rows.parquet --column text --output
scores.json`
"""

import importlib
import inspect
import json
import re
import resource
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from tasks.errors import InvalidProject
from tasks.runtime.leaving import run_and_leave

BATCH_ROWS = 64
WARM_UP = 10
KEPT_ANSWERS = 10


class Statuses:
    """What a handler sees of a TorchServe worker: where its files are, and a
    status for each item of a batch.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest: dict[str, Any] = json.loads(
            (folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8")
        )
        self.system_properties: dict[str, Any] = {
            "model_dir": str(folder),
            "gpu_id": None,
            "batch_size": BATCH_ROWS,
        }
        self.statuses: dict[int, int] = {}

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:  # noqa: ARG002 - TorchServe's interface
        self.statuses[idx] = code


def load(archive: Path, folder: Path) -> tuple[Any, Statuses]:
    """Unpack an archive and start its handler, by TorchServe's
    own rule: the only class that the handler's module defines.

    Raises:
        InvalidProject: The handler cannot be imported, or is not one class; trying again would find the same.
    """
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    context = Statuses(folder)
    sys.path.insert(0, str(folder))
    name = Path(context.manifest["model"]["handler"]).stem
    try:
        handler = _only_class(importlib.import_module(name))()
        handler.initialize(context)
    except (ImportError, SyntaxError) as error:
        raise InvalidProject(
            f"{name}.py of the archive {archive.name} cannot be imported here: {type(error).__name__}: "
            f"{error}. Correct it, name the file in pipeline.yaml under serving.code, or the package in the "
            "model's requirements.txt."
        ) from error
    return handler, context


def _only_class(module: ModuleType) -> Any:
    classes = [
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        names = [found.__name__ for found in classes]
        raise InvalidProject(
            f"{module.__name__}.py defines the classes {names}; TorchServe wants exactly one, the handler. "
            "Move the others to a file of their own and name it in pipeline.yaml under serving.code."
        )
    return classes[0]


Instances = list[dict[str, Any]]


def batches(rows: Path, columns: list[str]) -> Iterator[Instances]:
    """The rows as the JSON objects that requests would carry, a batch at a time, so that the memory that is
    measured is the model's.
    """
    if rows.suffix == ".jsonl":
        with rows.open(encoding="utf-8") as lines:
            parsed = map(json.loads, lines)
            chosen = ({column: row[column] for column in columns if column in row} for row in parsed)
            while batch := list(islice(chosen, BATCH_ROWS)):
                yield batch
        return
    import pyarrow.parquet as pq

    with pq.ParquetFile(rows) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=columns):
            yield [{name: as_json(value) for name, value in row.items()} for row in batch.to_pylist()]


def count(rows: Path) -> int:
    if rows.suffix == ".jsonl":
        with rows.open(encoding="utf-8") as lines:
            return sum(1 for _ in lines)
    import pyarrow.parquet as pq

    return int(pq.read_metadata(rows).num_rows)


def peak_memory_bytes() -> int:
    """The most physical memory that this process has had.

    By Linux' own mark, which begins anew with the program, as `ru_maxrss` does not: that is at least what the
    process had that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))):
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def as_json(value: Any) -> Any:
    """A cell as JSON carries it: times as ISO text, no NaN."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN is what differs from itself


def ask(handler: Any, context: Statuses, instances: Instances) -> list[tuple[int, dict[str, Any]]]:
    """One batch: each item's status and answer."""
    context.statuses.clear()
    answers = handler.handle([{"body": instance} for instance in instances], context)
    return [(context.statuses.get(index, 200), answer) for index, answer in enumerate(answers)]


def latencies(handler: Any, context: Statuses, chosen: Instances) -> list[float]:
    """Seconds of single requests."""
    for instance in chosen[:WARM_UP]:
        ask(handler, context, [instance])
    measured = []
    for instance in chosen:
        started = time.perf_counter()
        ask(handler, context, [instance])
        measured.append(time.perf_counter() - started)
    return measured


def evenly_spread(samples: int, rows: int) -> list[int]:
    """The numbers of so many rows; some more than once where there are fewer."""
    return [index * rows // samples for index in range(samples)] if rows else []


app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(
    archive: Annotated[Path, typer.Option()],
    rows: Annotated[Path, typer.Option()],
    output: Annotated[Path, typer.Option()],
    work: Annotated[Path, typer.Option(help="A folder to unpack to.")],
    column: Annotated[list[str], typer.Option(help="A feature; once for each.")],
    latency_samples: Annotated[int, typer.Option()] = 200,
) -> None:
    try:
        handler, context = load(archive, work / "archive")
    except InvalidProject as error:
        print(error, flush=True)
        raise typer.Exit(error.exit_code) from error
    timed = evenly_spread(latency_samples, count(rows))
    wanted = set(timed)
    answered: list[tuple[int, dict[str, Any]]] = []
    chosen: dict[int, dict[str, Any]] = {}
    for batch in batches(rows, column):
        first = len(answered)
        chosen |= {first + place: one for place, one in enumerate(batch) if first + place in wanted}
        answered += ask(handler, context, batch)
    refused = [
        {"row": row, "status": status, "message": str(answer.get("error"))}
        for row, (status, answer) in enumerate(answered)
        if status != 200
    ]
    document = {
        "predictions": [answer.get("prediction") for _, answer in answered],
        "scores": [answer.get("score") for _, answer in answered],
        "probabilities": [answer.get("scores") for _, answer in answered],
        "refused": refused,
        "latencies_seconds": latencies(handler, context, [chosen[row] for row in timed]),
        "answers": [answer for _, answer in answered[:KEPT_ANSWERS]],
        "peak_memory_bytes": peak_memory_bytes(),
    }
    part = output.with_name(output.name + ".part")
    part.write_text(json.dumps(document), encoding="utf-8")
    part.replace(output)


if __name__ == "__main__":
    run_and_leave(app)
