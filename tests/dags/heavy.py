"""A stand-in for the interpreter of the heavy steps: answers
each verb with a valid result, or misbehaves as it is told.

Run as `<this file> -m tasks <verb> --request R --result S`. What to do instead of answering lies in the
home's script.json, for each verb a list with one entry a call; each call leaves its request in the home's
folder calls/.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ["PERENNIAL_HOME"])
NOW = "2026-11-20T00:00:00Z"
SHA = "0" * 64


def part(name: str) -> dict[str, Any]:
    return {"url": f"/parts/{name}.parquet", "rows": 10, "sha256": SHA}


def count(request: dict[str, Any]) -> dict[str, Any]:
    table = request["spec"]["data"]["table"]
    return {"table": table, "table_version": 1, "rows": 30, "new_rows": 30, "seen_version": None}


def preflight(request: dict[str, Any]) -> dict[str, Any]:
    nothing = dict.fromkeys(("gpu", "code_commit", "image_digest", "memory_mib"))
    return {"model": request["spec"]["name"], "device": "cpu", "why": "Nobody asked for a GPU.", **nothing}


def check_labels(request: dict[str, Any]) -> dict[str, Any]:
    table = request["spec"]["data"]["table"]
    return {"model": request["spec"]["name"], "table": table, "tables": [], "verdicts": []}


def quarantine(request: dict[str, Any]) -> dict[str, Any]:
    return {"model": request["spec"]["name"], "new": [], "left_out": []}


def decide_batch(request: dict[str, Any]) -> dict[str, Any]:
    names = {name: request[name] for name in ("model", "batch_id")}
    return {**names, "before": "quarantined", "after": "released", "ledger_hash": SHA}


def decide_sender(request: dict[str, Any]) -> dict[str, Any]:
    names = {name: request[name] for name in ("model", "sender")}
    return {**names, "after": "released", "rows": 1, "ledger_hash": SHA}


def snapshot(request: dict[str, Any]) -> dict[str, Any]:
    parts = {name: part(name) for name in ("train", "validation", "test")}
    data = request["spec"]["data"]
    version = {"table": data["table"], "table_version": 1, "as_of": request["as_of"], "version_at": NOW}
    return {**version, "query": data["query"], "rows": 30, "sha256": SHA, **parts}


def validate(request: dict[str, Any]) -> dict[str, Any]:
    report = Path(request["context"]["work_url"], "report.html")
    report.write_text("<h1>All is well</h1>")
    found = {"success": True, "rows": 30, "evaluated": 3, "failed": []}
    return {
        "suite": "reviews",
        "suite_sha256": SHA,
        **found,
        "url": str(report),
        "json_url": str(report.with_suffix(".json")),
    }


def train(request: dict[str, Any]) -> dict[str, Any]:
    made_from = {
        "code_commit": None,
        "image_digest": None,
        "lock_sha256": SHA,
        "snapshot": request["snapshot"],
    }
    parameters = {name: str(value) for name, value in request["parameters"].items()}
    run = {
        "model": request["spec"]["name"],
        "run_id": "run-1",
        "experiment_id": "7",
        "seed": 1,
        "parameters": parameters,
    }
    curve = {"name": "loss", "points": [[1, 0.5], [2, 0.25]]}
    said = {"run_id": "run-1", "begun_at": NOW, "at": NOW, "ended_at": NOW, "curves": [curve]}
    Path(request["context"]["work_url"], "curves.json").write_text(json.dumps(said))
    return {**run, **made_from, "model_files_url": "/files"}


def held(request: dict[str, Any]) -> dict[str, Any]:
    why = "It waits for 1,200 test rows, and there are about 1,300."
    return {"model": request["spec"]["name"], "run_id": "run-1", "entry": 7, "why": why}


def take_up(request: dict[str, Any]) -> dict[str, Any]:
    return train({**request, "parameters": {}})


def label_incident(request: dict[str, Any]) -> dict[str, Any]:
    said = {"incident": 7, "batches": [], "next_step": "Start the training anew.", "ledger_hash": SHA}
    return {"model": request["model"], "answer": request["answer"], **said}


def close_breaker(request: dict[str, Any]) -> dict[str, Any]:
    return {"model": request["model"], "failures": 3, "trainings": [], "ledger_hash": SHA}


def package(request: dict[str, Any]) -> dict[str, Any]:
    archive = {"url": "/m.mar", "sha256": SHA, "size_bytes": 1, "example_prediction": {}}
    return {"model": request["spec"]["name"], "version": "run-1", "run_id": "run-1", **archive}


def score(role: str) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("run_id", "archive_sha256", "archive_bytes", "latency_p50_seconds", "latency_p95_seconds")
    )
    return {"role": role, "name": role, "metrics": [], "slices": [], **nothing}


def reconcile(_request: dict[str, Any]) -> dict[str, Any]:
    return {"settled": [], "faults": []}


def champion(request: dict[str, Any]) -> dict[str, Any]:
    return {"model": request["spec"]["name"], "version": None, "serves": False}


def evaluate(request: dict[str, Any]) -> dict[str, Any]:
    frozen = {"frozen_sha256": SHA, "champion_frozen_sha256": None, "rows": 10, "primary_metric": "accuracy"}
    scores = {
        "candidate": score("candidate"),
        "champion": None,
        "baseline": score("baseline"),
        "differences": [],
    }
    report_url = str(Path(request["context"]["work_url"], "evaluation.html"))
    return {"model": request["spec"]["name"], **frozen, **scores, "report_url": report_url}


def gate(request: dict[str, Any]) -> dict[str, Any]:
    verdict = {
        "verdict": "promote",
        "first_model": True,
        "rules": [],
        "why": "It is good.",
        "archive_sha256": SHA,
    }
    return {"model": request["spec"]["name"], "run_id": "run-1", **verdict, "evaluation_url": "/evaluation"}


def register(request: dict[str, Any]) -> dict[str, Any]:
    decision = {"decision_ledger_hash": SHA, "tags": {}}
    return {
        "model": request["spec"]["name"],
        "version": "1",
        "run_id": "run-1",
        "archive": request["archive"],
        **decision,
    }


def describe(request: dict[str, Any]) -> dict[str, Any]:
    report = Path(request["context"]["work_url"], "card.html")
    report.write_text("<h1>Model card</h1>")
    version = {name: request["version"][name] for name in ("model", "version", "run_id")}
    return {**version, "report_url": str(report), "explained": True, "notes": []}


def deploy(request: dict[str, Any]) -> dict[str, Any]:
    model = request["spec"]["name"]
    change = {
        "previous": None,
        "candidate": None,
        "traffic_share": 0,
        "checks": [],
        "verdict": "deployed",
        "seconds": 1,
    }
    return {"model": model, "stable": route(model, "1"), **change}


def route(model: str, version: str) -> dict[str, Any]:
    names = {"model_version": version, "run_id": f"run-{version}", "backend_version": f"run-{version}"}
    schemas = {"input_schema": {}, "label_schema": {}}
    return {"model": model, **names, "archive_sha256": SHA, **schemas, "timeout_seconds": 1}


def enter(request: dict[str, Any]) -> dict[str, Any]:
    names = {"model": request["spec"]["name"], "environment": request["environment"]}
    said = {"checks": [], "verdict": "entered", "why": "It passed.", "ledger_hash": SHA}
    return {**names, **said, "route": route(names["model"], request["version"]), "previous": None}


def accept(request: dict[str, Any]) -> dict[str, Any]:
    """Two stages beside version 1; a script that gives no `stable` and no `plan` makes it the first model."""
    model, version = request["spec"]["name"], request["version"]
    made = {"run": {"run_id": f"run-{version}"}, "archive": package(request), "decision": {}}
    parts = {"snapshot": snapshot({**request, "as_of": None}), "parameters": {}}
    return {
        "release_id": f"{model}-{version}-1",
        "model": model,
        "version": register(request | made) | {"version": version, "run_id": f"run-{version}"},
        "run": train(request | parts) | {"run_id": f"run-{version}"},
        "stable": route(model, "1"),
        "candidate": route(model, version),
        "plan": ["canary_10", "canary_100"],
        "checks": [{"check": "load", "passed": True, "detail": "95 % took at most 0.01 s"}],
        "why": f"Deployed, version {version} passed 1 check.",
        "ledger_hash": SHA,
    }


def open_stage(request: dict[str, Any]) -> dict[str, Any]:
    """A stage whose time is over, so that nobody waits for a gateway that is not there."""
    accepted = request["acceptance"]
    names = {"release_id": accepted["release_id"], "model": accepted["model"], "name": request["stage"]}
    shares = {"kind": "canary", "number": 0, "stages": 1, "share": 0.1, "shadow_share": 0}
    times = {"opened_at": NOW, "until": NOW, "slow_after_seconds": None, "ledger_hash": SHA}
    return {**names, **shares, **times, "stable": accepted["stable"], "candidate": accepted["candidate"]}


def judge_stage(request: dict[str, Any]) -> dict[str, Any]:
    stage = request["stage"]
    names = {"release_id": stage["release_id"], "model": stage["model"], "stage": stage["name"]}
    seen = {"at": NOW, "seconds": 60, "candidate": {"requests": 500}, "stable": {"requests": 4500}}
    said = {"verdict": "proceed", "why": "Every check has passed.", "checks": []}
    return {**names, **said, "look": seen, "ledger_hash": SHA}


def promote(request: dict[str, Any]) -> dict[str, Any]:
    accepted = request["acceptance"]
    return deploy(request) | {"stable": accepted["candidate"], "previous": accepted["stable"]}


def plan_cloud_run(request: dict[str, Any]) -> dict[str, Any]:
    model = request["spec"]["name"]
    names = {"service": "projects/p/locations/r/services/s", "revision": "s-v2-1", "base": "s-v2-1"}
    image = {"image": f"registry/{model}@sha256:{SHA}"}
    image |= {"model_version": "2", "version": SHA, "run_id": "run-2"}
    runs = {"ingress": "INGRESS_TRAFFIC_ALL", "template": {"containers": [{"image": image["image"]}]}}
    secret = "projects/our-project/secrets/token/versions/latest"
    asks = {"example": {}, "expected": {}, "secret": secret, "timeout_seconds": 1, "ready_seconds": 30}
    told = {"archive_sha256": SHA, "why": "It serves.", "ledger_hash": SHA}
    return {"model": model, "to": request["to"], **names, **image, **runs, **asks, **told}


def judge_cloud_run(request: dict[str, Any]) -> dict[str, Any]:
    return {"plan": request["plan"], "verdict": "move", "why": "It is ready.", "ledger_hash": SHA}


def close_cloud_run(request: dict[str, Any]) -> dict[str, Any]:
    plan = request["decision"]["plan"]
    names = {name: plan[name] for name in ("model", "model_version", "service", "revision")}
    return {**names, "why": "It is ready.", "ledger_hash": SHA}


def collect(request: dict[str, Any]) -> dict[str, Any]:
    rows = {"prediction_rows": 5, "feedback_rows": 0, "labelled_rows": 0, "landed_file": None}
    return {"model": request["spec"]["name"], **rows}


def predict_batch(request: dict[str, Any]) -> dict[str, Any]:
    names = {"model": request["spec"]["name"], "into": request["into"], "job": "0" * 16}
    return {**names, "rows": 5, "errors": 1, "versions": ["1"], "table_version": 2}


def drift(request: dict[str, Any]) -> dict[str, Any]:
    window = {"window_start": request["window_start"], "window_end": request["window_end"], "window_rows": 5}
    numbers = dict.fromkeys(("domain_auc", "null_auc", "threshold", "validation", "report_url"))
    verdict = {
        "verdict": "quiet",
        "columns": [],
        "new_rows": 0,
        "reference_rows": 10,
        "why": "Nothing moved.",
    }
    return {"model": request["spec"]["name"], "champion_run_id": "run-0", **window, **numbers, **verdict}


def retrain(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": request["spec"]["name"],
        "granted": True,
        "train_run_id": "retrain__1",
        "reason": "The traffic moved.",
    }


def reproduce(request: dict[str, Any]) -> dict[str, Any]:
    names = {"version": "1", "run_id": "run-1", "experiment_id": "7", "reproduced_as": "run-2"}
    lists = dict.fromkeys(("conditions", "largest", "files", "metrics", "nondeterministic_operators"), ())
    answers = {"rows": 10, "predictions": 0, "max_abs_difference": 0, "same": True, "within_tolerance": True}
    counts = {"tensors": 2, "tensors_differing": 0, "tolerance": 1e-4, "rows_made_again": False}
    told = {"verdict": "identical", "why": "identical: as it was.", "report_url": "/report"}
    return {"model": request["spec"]["name"], **names, **lists, **counts, **told, "answers": answers}


def calibrate(request: dict[str, Any]) -> dict[str, Any]:
    said = {"reference_id": SHA, "days": 0, "why": "Of 10 rows."}
    return {"model": request["spec"]["name"], "run_id": request["run"]["run_id"], **said}


def attest(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["reproduction"]
    return found | {"ledger_hash": SHA}


def silence(request: dict[str, Any]) -> dict[str, Any]:
    return {"model": request["model"], "silences": []}


def triggers(request: dict[str, Any]) -> dict[str, Any]:
    return {"models": [{"model": name, "triggers": []} for name in request["models"]]}


def recall(request: dict[str, Any]) -> dict[str, Any]:
    batch = {
        "table": "reviews",
        "batch_id": request["batch_ids"][0],
        "file": None,
        "ingested_at": None,
        "rows": 3,
    }
    usage = {"table": "reviews", "key": None, "batches": [batch], "uses": []}
    recalled = {"usage": usage, "table_version": 5, "ledger_hash": SHA}
    return {"batches": [recalled], "tickets": []}


def ingest(request: dict[str, Any]) -> dict[str, Any]:
    rows = {"published_rows": 3, "quarantined_rows": 1}
    file = {
        "file": "a.csv",
        "status": "published",
        "batch_id": "a",
        **rows,
        "reason": None,
        "report_url": None,
    }
    return {"table": request["table"]["table"], "table_version": 4, "files": [file], **rows}


def main(verb: str, request_file: Path, result_file: Path) -> None:
    request = json.loads(request_file.read_text())
    calls = HOME / "calls"
    calls.mkdir(exist_ok=True)
    number = len(list(calls.glob(f"{verb}-*")))
    (calls / f"{verb}-{number}.json").write_text(json.dumps(request))
    script = json.loads((HOME / "script.json").read_text()) if (HOME / "script.json").exists() else {}
    act = dict(enumerate(script.get(verb, ()))).get(number, {})
    print(f"{verb} says hello", flush=True)
    for place, decided in enumerate(act.get("outcomes", ())):
        folder = Path(request["context"]["work_url"], "outcomes")
        folder.mkdir(exist_ok=True)
        (folder / f"{place}.json").write_text(json.dumps(decided))
    if "lies" in act:
        result_file.write_text(act["lies"])
        return
    if "error" in act:
        error = {"error": "Told", "message": act["error"], "evidence": act.get("evidence", {})}
        result_file.with_name(result_file.name + ".error.json").write_text(json.dumps(error))
        raise SystemExit(act["exit"])
    if act.get("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(act.get("sleeps", 0))
    result_file.write_text(json.dumps(globals()[verb](request) | act.get("result", {})))


if __name__ == "__main__":
    main(sys.argv[3], Path(sys.argv[5]), Path(sys.argv[7]))
