"""A small platform of real parts: a lake, a ledger, MLflow's files and a gateway that answers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
import uvicorn
from perennial_gateway.app import application
from perennial_gateway.database import feedback, predictions

from embedded.ports import free_port
from tasks.contracts import (
    Action,
    DataSnapshot,
    GateDecision,
    LedgerEntry,
    SnapshotRequest,
    StepContext,
    TrainingRun,
    TrainRequest,
    ValidationReport,
)
from tasks.data.snapshot import snapshot
from tasks.ledger import entries
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tasks.stores.lake import Lake
from tasks.training import mlflow_run
from tasks.training.surroundings import find_surroundings
from tests.unit import judged
from tests.unit.gateway.test_settings import settings as gateway_settings
from tests.unit.reviews import SPEC

TOKEN = "a token of the steps"
MODEL = SPEC.name
TABLE = SPEC.data.table
TIME = "2026-01-05T12:00:00.000000+00:00"
HOSTILE = "<script>alert('rows')</script>"


@dataclass
class World:
    """One platform with one model; `runs` are its trainings, oldest first."""

    home: Path
    gateway_url: str
    spec: PipelineSpec
    lake: Lake = field(default_factory=Lake)
    runs: list[TrainingRun] = field(default_factory=list)

    def snapshot(self, step: str) -> DataSnapshot:
        context = StepContext(actor="tests", step_key=step, work_url=str(self.home / "runs" / step))
        return snapshot(SnapshotRequest(context=context, spec=self.spec))

    def train(self, airflow_run: str, reason: str = "the schedule") -> TrainingRun:
        """A training as MLflow keeps it, on the rows that there are now."""
        taken = self.snapshot(airflow_run)
        step = f"train_{MODEL}/{airflow_run}/train"
        context = StepContext(actor=f"airflow:{step}", step_key=step, work_url=str(self.home / "work"))
        report = ValidationReport(
            suite="reviews", suite_sha256="0" * 64, success=True, rows=taken.rows, evaluated=1, failed=(),
            url=str(self.home / "report.html"), json_url=str(self.home / "report.json"),
        )  # fmt: skip
        for name in ("report.html", "report.json"):
            (self.home / name).write_text("{}")
        request = TrainRequest(
            context=context, spec=self.spec, snapshot=taken, validation=report, reason=reason
        )
        experiment_id = mlflow_run.experiment(MODEL)
        run_id = mlflow_run.start(experiment_id, request, {"epochs": 3})
        run = judged.run(run_id=run_id, experiment_id=experiment_id, snapshot=taken)
        mlflow_run.complete(run, request, find_surroundings(self.spec))
        self.runs.append(run)
        return run

    def judge(self, run: TrainingRun, verdict: str = "promote", **changes: Any) -> LedgerEntry:
        """The gate's entry on a run."""
        archive = judged.archive(run_id=run.run_id, version=run.run_id, sha256=run.run_id * 2)
        found = judged.evaluation(frozen_sha256=run.snapshot.test.sha256, **changes)
        why = f"Accuracy is 0.91 and all rules passed: {verdict}."
        decision = GateDecision(
            model=MODEL, run_id=run.run_id, verdict=verdict, first_model=False, rules=(
                {"rule": "minimum accuracy", "value": 0.9, "threshold": 0.8, "passed": True,
                 "blocks": "reject", "why": "accuracy is 0.9 and at least 0.8 is required"},
            ), why=why, archive_sha256=archive.sha256, evaluation_url="report.json", look=judged.LOOK,
        )  # fmt: skip
        return entries.record(
            model=MODEL, actor=f"airflow:train/{run.run_id}", action=Action.GATE, before=None, after=verdict,
            why=why, evidence={"evaluation": found, "archive": archive, "decision": decision},
        )  # fmt: skip

    def serve(self, run: TrainingRun) -> str:
        """Judge, register and route a run; the version's number."""
        entry = self.judge(run)
        archive = judged.archive(run_id=run.run_id, version=run.run_id, sha256=run.run_id * 2)
        client = registry.client()
        if not client.search_registered_models(f"name = '{MODEL}'"):
            client.create_registered_model(MODEL)
        tags = {registry.ARCHIVE: archive.model_dump_json(), registry.DECISION: entry.entry_hash}
        made = client.create_model_version(MODEL, source="unused", run_id=run.run_id, tags=tags)
        route = {
            "model": MODEL, "model_version": str(made.version), "run_id": run.run_id, "backend_version": "1",
            "archive_sha256": archive.sha256, "input_schema": {"type": "object"},
            "label_schema": {"type": "integer"}, "timeout_seconds": 1.0,
        }  # fmt: skip
        entries.record(
            model=MODEL, actor="airflow:deploy", action=Action.DEPLOY, before=None, after=str(made.version),
            why="It answers as it was judged.", evidence={"route": route, "before": None, "after_change": 0},
        )  # fmt: skip
        answer = requests.put(
            f"{self.gateway_url}/internal/routes/{MODEL}", json=route, timeout=10,
            headers={"Authorization": f"Bearer {TOKEN}"},
        )  # fmt: skip
        assert answer.ok, answer.text
        return str(made.version)

    def answer(self, prediction_id: str, run: TrainingRun, version: str, **changes: Any) -> str:
        """One answer, and its label, in the gateway's log."""
        row = {
            "prediction_id": prediction_id, "model": MODEL, "predicted_at": TIME, "model_version": version,
            "run_id": run.run_id, "features": '{"text": "A film."}', "prediction": "1", "score": 0.75,
            "sent_by": "shop", "latency_seconds": 0.0125, **changes,
        }  # fmt: skip
        label = {"prediction_id": prediction_id, "model": MODEL, "label": "0", "received_at": TIME}
        engine = sa.create_engine(f"sqlite:///{self.home / 'gateway.db'}")
        with engine.begin() as connection:
            connection.execute(predictions.insert().values(row))
            connection.execute(feedback.insert().values(label | {"sent_by": HOSTILE}))
        engine.dispose()
        return prediction_id


@contextmanager
def gateway(home: Path) -> Iterator[str]:
    """The gateway's own application on a free port."""
    port = free_port()
    app = application(
        gateway_settings(gateway_database_url=f"sqlite:///{home / 'gateway.db'}", gateway_token=TOKEN)
    )
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
