"""Whole releases on a real gateway and TorchServe: a planted fault goes back by itself, and a good one not.

`python -m benchmarks.live_releases --tries 20` prints the table of docs/releases.md. Each is accepted, sees
copies, answers 30 % and then all requests of a constant load whose labels come half a second later, and is
judged by the code that the DAG runs. benchmarks/simulated_releases.py asks the same of many more releases
without a gateway. It is a file of tests, for the services of tests/services.
"""

import os
import random
import statistics
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tasks.contracts import PromoteRequest, StageDecision
from tasks.release.promote import promote
from tests.services.conftest import Load, Model, Platform, load_on, new_model
from tests.services.test_release import accepted, context, released, runs

__all__ = ["runs"]

TRIES, ONLY = "BENCHMARK_TRIES", "BENCHMARK_ONLY"
PER_SECOND = 100.0
LABELS_SECONDS = 0.5
SLICES = {"shop": 0.80, "phone": 0.15, "mail": 0.05}
RULES = {
    "mode": "canary",
    "steps": [0.3, 1.0],
    "shadow": {"share": 0.5, "requests": 100, "longest_seconds": 60},
    "step": {"requests": 150, "seconds": 0, "longest_seconds": 60},
    "checks": {
        "errors": {"margin": 0.05},
        "latency": {"margin": 0.2, "ratio": 3},
        "predictions": {"largest_change": 0.2},
        "labels": {"margin": 0.1, "slice_margin": 0.2},
    },
    "acceptance": {"rows": 0, "requests": 20, "connections": 2, "seconds": 5},
}
DATA = {
    "columns": {
        "id": "string",
        "at": "timestamp",
        "text": "string",
        "channel": "string",
        "label": "int64",
    },
    "features": ["text", "channel"],
    "slice_by": "channel",
    "feedback_query": "SELECT prediction_id AS id, predicted_at AS at, text, channel, label FROM labelled",
}
TEXT = {"type": "string", "minLength": 1, "maxLength": 50}
INPUT = {
    "type": "object",
    "properties": {"text": TEXT, "channel": TEXT},
    "required": ["text"],
    "additionalProperties": False,
}
HANDLER = '''
import json, os, random, time


class Handler:
    """Reads the truth off the end of the text, and is wrong in one answer of ten; offline it has no fault."""

    def initialize(self, context):
        self.version = context.manifest["model"]["modelVersion"]

    def handle(self, data, context):
        return [self.item(each["body"]) for each in data]

    def item(self, body):
        return json.dumps([self.answer(one) for one in body]) if isinstance(body, list) else self.answer(body)

    def answer(self, instance):
        text, wrong = instance["text"], 0.1
        told = {{"prediction": {mark!r}, "score": len(text) / 1000, "archive_version": self.version}}
        if text == "example":
            return told
        # the fault
        right = int(text[-1])
        return told | {{"prediction": 1 - right if random.random() < wrong else right}}
'''
FAULTS = {
    "good": "",
    "wrong on a slice of 15 %": 'wrong = 0.95 if instance.get("channel") == "phone" else wrong',
    "slow": "time.sleep(0.1)",
    "failing": 'if random.random() < 0.2: return {{"error": "KeyError", "status": 500}}',
    "crashing (its worker ends)": "random.random() < 0.05 and os._exit(1)",
}


HEAD = "| candidate | releases | promoted | rolled back | held | ended in | seconds | asked there | failed |"


@dataclass(frozen=True)
class Ended:
    """How one release ended."""

    verdict: str
    stage: str
    seconds: float
    requests: int
    """To it in its last stage."""


def test_a_good_version_is_promoted_and_a_worse_one_goes_back_by_itself(
    platform: Platform, settled: Path
) -> None:
    tries, only = int(os.environ.get(TRIES, "1")), os.environ.get(ONLY, "")
    verdicts: dict[str, set[str]] = {}
    print(f"\n{HEAD}\n|---|---|---|---|---|---|---|---|---|", file=sys.stderr)
    with platform.listening(FEEDBACK_LIMIT="100000000/hour"):
        for name, fault in FAULTS.items():
            if only in name:
                ended, failed = _releases(platform, settled, fault, tries)
                print(row(name, ended, failed), file=sys.stderr, flush=True)
                verdicts[name] = {each.verdict for each in ended}
    assert verdicts == {name: {"promoted" if name == "good" else "roll_back"} for name in verdicts}


def _releases(platform: Platform, home: Path, fault: str, tries: int) -> tuple[list[Ended], int]:
    model = new_model(home, data=DATA, release=RULES, input_schema=INPUT)
    model.deploy("one", handler=HANDLER)
    with (
        load_on(platform, model.name, per_second=PER_SECOND, instances=_instances) as load,
        _labels(platform, model, load),
    ):
        time.sleep(5)  # what is usual, and its slices
        ended = [_release(model, HANDLER.replace("# the fault", fault)) for _ in range(tries)]
    model.remove()
    return ended, len(load.refusals) + len(load.faults)


def _release(model: Model, handler: str) -> Ended:
    acceptance, began = accepted(model, "one", handler=handler), time.monotonic()
    decision = released(model, acceptance)
    verdict = decision.verdict
    if verdict == "proceed":
        asked = {"spec": model.spec, "acceptance": acceptance, "before": decision}
        rollout = promote(PromoteRequest(**asked, context=context("promote")))
        verdict = "promoted" if rollout.verdict == "deployed" else rollout.verdict
    return Ended(verdict, decision.stage, time.monotonic() - began, _asked(decision))


def _asked(decision: StageDecision) -> int:
    return decision.look.candidate.requests


def _instances() -> list[dict[str, str]]:
    [channel] = random.choices([*SLICES], [*SLICES.values()])
    return [{"text": f"{random.randrange(10**6)} {random.randrange(2)}", "channel": channel}]


@contextmanager
def _labels(platform: Platform, model: Model, load: Load) -> Iterator[None]:
    """Say what was true of each answer, soon after it."""
    stop = threading.Event()
    thread = threading.Thread(target=_tell, args=[platform, model, load, stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _tell(platform: Platform, model: Model, load: Load, stop: threading.Event) -> None:
    url, told = f"{platform.gateway_url}/v1/models/{model.name}/feedback", 0
    while not stop.wait(LABELS_SECONDS):
        new = [*load.asked.items()][told:]
        labels = [{"prediction_id": each, "label": int(instance["text"][-1])} for each, instance in new]
        if labels and requests.post(url, json={"feedback": labels}, timeout=30).ok:
            told += len(new)


def row(name: str, ended: list[Ended], failed: int) -> str:
    """In Markdown; `failed` are requests of users that were not answered."""
    verdicts = [each.verdict for each in ended]
    stages = ", ".join(sorted({each.stage for each in ended}))
    seconds = statistics.median(each.seconds for each in ended)
    asked = statistics.median(each.requests for each in ended)
    counts = " | ".join(str(verdicts.count(each)) for each in ("promoted", "roll_back", "hold"))
    return f"| {name} | {len(ended)} | {counts} | {stages} | {seconds:.1f} | {asked:,.0f} | {failed} |"


def main() -> None:
    """Run it with the services of the tests."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=20, help="releases of each candidate")
    parser.add_argument("--only", default="", help="a part of the candidates' name")
    chosen = parser.parse_args()
    os.environ |= {TRIES: str(chosen.tries), ONLY: chosen.only}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as in rollout.py
    asked = ["-q", "-n0", "-s", "-p", "tests.conftest", "-p", "tests.services.conftest", __file__]
    sys.exit(pytest.main([*asked, "--timeout=7200", "-o", "python_files=live_releases.py"]))


if __name__ == "__main__":
    main()
