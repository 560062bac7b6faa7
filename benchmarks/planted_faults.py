"""Does any of fifty planted faults get through? Trainings of both shipped binary models, by their own steps.

    .perennial/envs/dev/bin/python benchmarks/planted_faults.py [--model flight_delay] [--fault noisy]

A first champion learns from eight batches of real rows. Then, each in a copy of that state, a batch with a
fault lands, or the training itself has one, and a candidate is made: check of the labels, snapshot,
validation, training, archive, evaluation, gate. What the batch holds in place of the truth is also in today's
test part, as it would be. A batch that the check would keep from the training is trained on all the same, as
if a person had released it: the gate is to refuse what the check lets through, and what it does not.

| fault | what is wrong |
|---|---|
| `inverted`, `shuffled` | the labels of the batch are the opposite, or in random order |
| `misjoined` | each row of the batch has the label of the row before it |
| `noisy` | 20 % of the batch's labels are the opposite |
| `only_inverted` | inverted, and the query takes the newest batch alone, with all of the test rows |
| `truncated` | texts cut to 60 characters; of flights the minute of the departure cut to its hour |
| `leaking` | rows of the test part once more, under other keys and almost the same |
| `older` | a snapshot of before the newest batch, which the champion has seen |
| `handler` | the handler prepares the rows in another way than the training |

Prints a line of JSON for each and exits with 1 where one is promoted, or where what refused it names another
cause than the fault's.
"""

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tasks.contracts import ModelVersion  # noqa: E402 - found by the path above
from tasks.errors import PerennialError  # noqa: E402
from tasks.settings import settings  # noqa: E402
from tasks.spec import PipelineSpec  # noqa: E402
from tasks.stores import database  # noqa: E402
from tests.model.conftest import example_data  # noqa: E402
from tests.steps.by_hand import ByHand  # noqa: E402

SIZES = (800, 2_000, 8_000)
BATCHES_BEFORE = 8
HISTORY = {"review_sentiment": 8_000, "flight_delay": 30_000}
NEWEST = {"review_sentiment": "written_at", "flight_delay": "scheduled_at"}
TRUNCATED = {"review_sentiment": "text", "flight_delay": "departure_minute"}
HANDLERS = {
    "review_sentiment": (
        ("    return text\n", "    return text[:60]\n"),
        ("    return text\n", "    return text[::-1]\n"),
        ("    return text\n", "    return ' '.join(text.split()[::2])\n"),
        ("    return text\n", "    return text.replace(' ', '')\n"),
    ),
    "flight_delay": tuple(
        ("probabilities(instances)", f"probabilities([{{**one, {changed}}} for one in instances])")
        for changed in (
            "'month': one['weekday'], 'weekday': min(one['month'], 7)",
            "'departure_minute': one['departure_minute'] // 60",
            "'origin': one['destination'], 'destination': one['origin']",
            "'departure_minute': (one['departure_minute'] + 720) % 1440",
        )
    ),
}

Frame = pd.DataFrame
Change = Callable[[Frame, PipelineSpec, np.random.Generator], Frame]


@dataclass(frozen=True)
class Plant:
    """A fault of so many rows, or the so-manieth of its kind; `named` are the causes that may refuse it."""

    model: str
    fault: str
    size: int
    named: tuple[str, ...]


def inverted(rows: Frame, spec: PipelineSpec, _: np.random.Generator) -> Frame:
    return rows.assign(**{spec.data.label: 1 - rows[spec.data.label]})


def shuffled(rows: Frame, spec: PipelineSpec, rng: np.random.Generator) -> Frame:
    return rows.assign(**{spec.data.label: rng.permutation(rows[spec.data.label].to_numpy())})


def misjoined(rows: Frame, spec: PipelineSpec, _: np.random.Generator) -> Frame:
    return rows.assign(**{spec.data.label: np.roll(rows[spec.data.label].to_numpy(), 1)})


def noisy(rows: Frame, spec: PipelineSpec, rng: np.random.Generator) -> Frame:
    labels = rows[spec.data.label].to_numpy().copy()
    chosen = rng.permutation(len(labels))[: len(labels) // 5]
    labels[chosen] = 1 - labels[chosen]
    return rows.assign(**{spec.data.label: labels})


def truncated(rows: Frame, spec: PipelineSpec, _: np.random.Generator) -> Frame:
    column = TRUNCATED[spec.name]
    cut = rows[column].str[:60] if column == "text" else rows[column] // 60
    return rows.assign(**{column: cut})


BATCHES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "inverted": (inverted, ("label",)),
    "shuffled": (shuffled, ("label",)),
    "misjoined": (misjoined, ("label",)),
    "noisy": (noisy, ("label", "superiority")),
    "truncated": (truncated, ("superiority", "label", "slice", "expect")),
}


def plants(model: str) -> Iterator[Plant]:
    """Twenty-five of each model."""
    for fault, (_, named) in BATCHES.items():
        yield from (Plant(model, fault, size, named) for size in SIZES)
    yield from (Plant(model, "only_inverted", size, ("label",)) for size in SIZES[1:])
    yield from (Plant(model, "leaking", size, ("superiority", "duplicate")) for size in SIZES[:2])
    yield from (Plant(model, "older", number, ("current_test_rows",)) for number in range(2))
    yield from (Plant(model, "handler", number, ("prepares_as_trained",)) for number in range(4))


@dataclass(frozen=True)
class Base:
    """What every plant is planted into: a state folder with a champion, and rows that nothing has seen."""

    model: str
    home: str
    seen: str
    unseen: str
    champion: ModelVersion
    before_newest: datetime


def use(home: Path, models: Path | None = None) -> None:
    """Point the steps of this process and its children to a state folder."""
    os.environ |= {"PERENNIAL_HOME": str(home), "PERENNIAL_MLFLOW_URL": f"sqlite:///{home / 'mlflow.db'}"}
    os.environ |= {"OMP_NUM_THREADS": "1", "PERENNIAL_MODELS": str(models or PROJECT / "models")}
    settings.cache_clear()
    database.engine.cache_clear()


def loop_at(home: Path, model: str, models: Path | None = None, **data: Any) -> ByHand:
    use(home, models)
    spec = PipelineSpec.load(settings().models / model / "pipeline.yaml")
    return ByHand(spec.model_copy(update={"data": spec.data.model_copy(update=data)}), home)


def land(loop: ByHand, rows: Frame, name: str) -> None:
    folder = loop.home / "landing" / loop.spec.data.table
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / f"{name}.csv", index=False)
    loop.ingest()


def base(model: str, folder: Path) -> Base:
    """The first champion, of two batches."""
    from tasks.stores import registry

    history = HISTORY[model]
    home = folder / "base"
    loop = loop_at(home, model)
    every = example_data(model, folder / "all", "--rows", str(history + max(SIZES) * 2))
    every = every.dropna(subset=loop.spec.data.label).astype({loop.spec.data.label: "int64"})
    registry.client().create_experiment(model, artifact_location=str(home / "artifacts"))
    for number, rows in enumerate(np.array_split(np.arange(history), BATCHES_BEFORE)):
        before = datetime.now(UTC)
        land(loop, every.iloc[rows], f"batch-{number}")
    loop.quarantine(loop.check_labels())
    judged = loop.train()
    if judged.decision.verdict != "promote":
        raise SystemExit(f"The first champion of {model} was not promoted: {judged.decision.why}")
    seen, unseen = folder / "seen.csv", folder / "unseen.csv"
    every.iloc[:history].to_csv(seen, index=False)
    every.iloc[history:].to_csv(unseen, index=False)
    champion = loop.register(judged)
    registry.set_champion(model, champion.version)
    return Base(model, str(home), str(seen), str(unseen), champion, before)


def try_plant(plant: Plant, of: Base, folder: str) -> dict[str, Any]:
    """What became of a candidate with the fault, in a copy of the state."""
    home = Path(folder, f"{plant.model}-{plant.fault}-{plant.size}")
    shutil.copytree(of.home, home)
    said = _candidate(plant, of, home)
    shutil.rmtree(home)
    named = sorted({cause for cause in plant.named if any(cause in rule for rule in said["refused_by"])})
    return {"model": plant.model, "fault": plant.fault, "size": plant.size, **said, "named": named}


def _candidate(plant: Plant, of: Base, home: Path) -> dict[str, Any]:
    loop, as_of = loop_at(home, plant.model), None
    rng = np.random.default_rng([plant.size, len(plant.fault)])
    rows = pd.read_csv(of.unseen)[: min(plant.size, max(SIZES))]
    if plant.fault in BATCHES:
        land(loop, BATCHES[plant.fault][0](rows, loop.spec, rng), "planted")
    elif plant.fault == "only_inverted":
        land(loop, inverted(rows, loop.spec, rng), "planted")
        column = NEWEST[plant.model]
        newest = f"{column} >= TIMESTAMP '{rows[column].min()}'"
        loop = loop_at(home, plant.model, query=f"{loop.spec.data.query} AND {newest}")
    elif plant.fault == "leaking":
        land(loop, _near_copies(loop, of, plant.size), "planted")
    elif plant.fault == "older":
        as_of = of.before_newest
    else:
        loop = loop_at(home, plant.model, _with_handler(plant, home))
    run = f"planted-{plant.fault}"
    checked = loop.check_labels(run).verdicts
    quarantined = [verdict.why[:400] for verdict in checked if verdict.state == "quarantined"]
    refused = ["check_labels"] if quarantined else []
    try:
        decision = loop.train(run, of.champion, as_of).decision
    except PerennialError as error:
        refused.append(type(error).__name__)
        return {"verdict": "stopped", "refused_by": refused, "why": [*quarantined, str(error)[:400]]}
    refused += [rule.rule for rule in decision.rules if not rule.passed]
    return {"verdict": decision.verdict, "refused_by": refused, "why": [*quarantined, decision.why[:400]]}


def _near_copies(loop: ByHand, of: Base, count: int) -> Frame:
    """Test rows of the champion under other keys: texts with one more space, flights as they are."""
    import pyarrow.parquet as pq

    from tasks.stores import registry

    data = loop.spec.data
    tested = pq.read_table(registry.training_run(of.champion.run_id).snapshot.test.url).to_pandas()
    seen = pd.read_csv(of.seen)
    chosen = seen[seen[data.key].isin(tested[data.key])][:count]
    copies = chosen.assign(**{data.key: chosen[data.key] + "-again"})
    return copies.assign(text=copies["text"] + " ") if "text" in data.features else copies


def _with_handler(plant: Plant, home: Path) -> Path:
    models = shutil.copytree(PROJECT / "models", home / "models", ignore=shutil.ignore_patterns("mlruns"))
    handler, (right, wrong) = models / plant.model / "handler.py", HANDLERS[plant.model][plant.size]
    text = handler.read_text(encoding="utf-8")
    if right not in text:
        raise SystemExit(f"{handler} has no {right!r} any more: say in HANDLERS how to plant the fault.")
    handler.write_text(text.replace(right, wrong), encoding="utf-8")
    return Path(models)


def main(
    model: Annotated[list[str] | None, typer.Option(help="Only these models.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Only these faults.")] = None,
    workers: Annotated[int, typer.Option(help="Candidates that are made at once.", min=1)] = 2,
) -> None:
    """Plant every fault, print one line of JSON for each, and judge."""
    missed, spawned = [], multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="perennial-planted-") as name:
        for chosen in model or list(HISTORY):
            folder = Path(name, chosen)
            of = base(chosen, folder)
            wanted = [plant for plant in plants(chosen) if not fault or plant.fault in fault]
            with ProcessPoolExecutor(workers, mp_context=spawned, max_tasks_per_child=1) as pool:
                for asked in [pool.submit(try_plant, plant, of, str(folder)) for plant in wanted]:
                    found = asked.result()
                    typer.echo(json.dumps(found))
                    missed += [found] if found["verdict"] == "promote" or not found["named"] else []
    typer.echo(f"{len(missed)} promoted or refused for another cause: {[_short(found) for found in missed]}")
    if missed:
        raise SystemExit(1)


def _short(found: dict[str, Any]) -> str:
    return f"{found['model']} {found['fault']} {found['size']}: {found['verdict']} by {found['refused_by']}"


if __name__ == "__main__":
    typer.run(main)
