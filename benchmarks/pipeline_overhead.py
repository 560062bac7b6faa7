"""What Airflow costs: the training DAG from trigger to
serving, against its steps run by hand one after the other.

    .perennial/envs/control/bin/python benchmarks/pipeline_overhead.py [--rows 6000] [--rounds 2]

Starts a platform of its own in a temporary folder, trains a first champion, then takes turns: one run of the
DAG, and the very requests of that run again through `python -m tasks <verb>`. Prints both and their ratio;
exits with 1 above --at-most.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo import data
from demo.airflow import Airflow
from demo.data import MODEL, TABLE
from demo.follow import wait_for_published
from embedded.platform import Platform
from plugins.attempts import folder_name
from tasks.settings import settings
from tasks.stores.files import at

TRAIN, INGEST = f"train_{MODEL}", f"ingest_{TABLE}"
VERBS = [
    "count",
    "preflight",
    "check_labels",
    "quarantine",
    "snapshot",
    "validate",
    "train",
    "package",
    "champion",
    "evaluate",
    "gate",
    "register",
    "deploy",
]


def main(
    rows: Annotated[int, typer.Option(help="Reviews to train on.")] = 6_000,
    rounds: Annotated[int, typer.Option(help="How often each is measured; the medians are compared.")] = 2,
    at_most: Annotated[float, typer.Option(help="The largest ratio that passes.")] = 1.5,
) -> None:
    """Print the seconds of the DAG, of its steps by hand, and the ratio."""
    with tempfile.TemporaryDirectory() as folder, Platform(Path(folder, "home")) as platform:
        os.environ.update(platform.variables())
        settings.cache_clear()
        airflow = Airflow(platform.addresses.airflow, platform.airflow_token)
        first_champion(airflow, Path(folder, "data"), rows)
        by_airflow, by_hand = [], []
        for turn in range(rounds):
            run_id, seconds = run_the_dag(airflow)
            by_airflow.append(seconds)
            by_hand.append(run_by_hand(airflow, run_id, Path(folder, f"turn-{turn}"), platform.environment()))
            typer.echo(f"turn {turn + 1}: DAG {seconds:.1f} s, by hand {sum(by_hand[-1].values()):.1f} s")
    report(by_airflow, by_hand, at_most)


def first_champion(airflow: Airflow, folder: Path, rows: int) -> None:
    """Ingest the reviews and train once: what is measured later
    has a champion to compare with, as nearly every run does.
    """
    airflow.wait_for_dags([INGEST, TRAIN], timeout_seconds=120)
    folder.mkdir()
    data.land(data.write_example_data(folder, rows=rows))
    wait_for_published(airflow, INGEST, rows=rows, timeout_seconds=300, tell=lambda _: None)
    airflow.wait(TRAIN, airflow.trigger(TRAIN), stalled_seconds=600)


def run_the_dag(airflow: Airflow) -> tuple[str, float]:
    """Trigger a training and return its run id and the seconds
    from the request until the run had ended, the model serving.

    Data and seed are those of the champion, so the gate finds the candidate as good and promotes it.
    """
    triggered = datetime.now(UTC)
    run_id = airflow.trigger(TRAIN)
    run = airflow.wait(TRAIN, run_id, timeout_seconds=600)
    decision = airflow.result(TRAIN, run_id, "gate")
    if decision["verdict"] != "promote":
        raise SystemExit(
            f"Nothing was deployed, so there is nothing to compare. The gate says: {decision['why']}"
        )
    return run_id, (datetime.fromisoformat(run["end_date"]) - triggered).total_seconds()


def run_by_hand(airflow: Airflow, run_id: str, folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Run the requests of a DAG run again and return the seconds of each verb.

    Only the context differs, so that no step recognises its earlier self, and each result of the DAG run that
    a request holds is replaced by the result of the step just run by hand.
    """
    seconds, renewed = {}, []
    for verb in VERBS:
        request = json.loads(
            at(settings().runs, TRAIN, folder_name(run_id), verb, "request.json").read_text()
        )
        for before, after in renewed:
            request = {field: after if value == before else value for field, value in request.items()}
        request["context"] = {
            "actor": "benchmark",
            "step_key": f"{folder.name}/{verb}",
            "work_url": str(folder / verb),
        }
        started = time.monotonic()
        result = run_step(verb, request, folder / verb, environment)
        seconds[verb] = time.monotonic() - started
        renewed.append((airflow.result(TRAIN, run_id, verb), result))
    return seconds


def run_step(verb: str, request: dict[str, Any], folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """One `python -m tasks <verb>`, from request to result."""
    folder.mkdir(parents=True)
    files = folder / "request.json", folder / "result.json"
    files[0].write_text(json.dumps(request), encoding="utf-8")
    command = [
        str(settings().python(MODEL)),
        "-m",
        "tasks",
        verb,
        "--request",
        str(files[0]),
        "--result",
        str(files[1]),
    ]
    done = subprocess.run(
        command, cwd=settings().project, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{verb} ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    result: dict[str, Any] = json.loads(files[1].read_text(encoding="utf-8"))
    return result


def report(by_airflow: list[float], by_hand: list[dict[str, float]], at_most: float) -> None:
    for verb in VERBS:
        typer.echo(f"    {verb:9} {median(turn[verb] for turn in by_hand):6.1f} s by hand")
    dag, hand = median(by_airflow), median(sum(turn.values()) for turn in by_hand)
    typer.echo(f"training DAG, from trigger to serving: {dag:.1f} s")
    typer.echo(f"its steps by hand, one after the other: {hand:.1f} s")
    typer.echo(f"ratio: {dag / hand:.2f} (at most {at_most})")
    if dag / hand > at_most:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
