"""A platform whose past has two versions: the second was trained on a poisoned batch, too."""

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.contracts import Action, DriftDecision, RetrainRequest, StepContext
from tasks.ledger import entries
from tasks.monitoring.closing import close
from tasks.monitoring.retrain import retrain
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import database, registry
from tests.unit.provenance.world import MODEL, TABLE, World, gateway
from tests.unit.reviews import SPEC, as_table, reviews

DAY = datetime(2026, 1, 5, tzinfo=UTC)


def batch(name: str) -> str:
    """A batch's id, as an ingest makes one."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


FIRST, POISON, LATER = batch("first"), batch("poison"), batch("later")
ANSWER, POISONED = "0190000000007000800000000000000a", "0190000000007000800000000000000b"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mlflow_store: Path) -> Iterator[World]:
    home = tmp_path_factory.mktemp("world")
    with gateway(home) as url, pytest.MonkeyPatch.context() as patched:
        store = f"sqlite:///{shutil.copy(mlflow_store, home)}"
        variables = {"HOME": str(home), "GATEWAY_URL": url, "MLFLOW_URL": store, "DATABASE_URL": ""}
        for name, value in (variables | {"GATEWAY_TOKEN": "a token of the steps"}).items():
            patched.setenv(f"PERENNIAL_{name}", value)
        settings.cache_clear()
        database.engine.cache_clear()
        registry.client().create_experiment(MODEL, artifact_location=str(home / "artifacts"))
        yield _lived(World(home, url, _spec()))
        database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


def _spec() -> PipelineSpec:
    document = SPEC.model_dump()
    document["data"] |= {"minimum_rows": 10}
    return PipelineSpec.model_validate(document)


def _lived(world: World) -> World:
    lake = world.lake
    lake.append(TABLE, as_table(reviews(100)), batch_id=FIRST, metadata={"file": "first.csv"})
    first = world.train("scheduled__1")
    world.answer(ANSWER, first, world.serve(first))
    # Of its 40 rows, 20 replace rows of the first batch.
    inverted = [row | {"label": 1 - row["label"]} for row in reviews(40, 80)]
    lake.append(TABLE, as_table(inverted), batch_id=POISON, metadata={"file": "poison.csv"})
    second = world.train(_granted_by_drift(world), "the traffic changed")
    world.answer(POISONED, second, world.serve(second))
    lake.append(TABLE, as_table(reviews(20, 200)), batch_id=LATER, metadata={"file": "later.csv"})
    world.judge(world.train("scheduled__3"), "hold")
    return world


def _granted_by_drift(world: World) -> str:
    decision = DriftDecision(
        model=MODEL, champion_run_id=world.runs[0].run_id, window_start=DAY, window_end=DAY, window_rows=500,
        reference_rows=500, verdict="retrain", domain_auc=0.97, null_auc=0.55, threshold=0.65, columns=(),
        new_rows=540, validation=None, why="The traffic changed: 0.97 is above 0.65.", report_url=None,
    )  # fmt: skip
    entry = entries.record(
        model=MODEL, actor="airflow:drift", action=Action.DRIFT, before=None, after="retrain",
        why=decision.why, evidence={"decision": decision},
    )  # fmt: skip
    context = StepContext(actor="airflow:drift/retrain", step_key="drift/1/retrain", work_url="unused")
    decided = decision.model_copy(update={"ledger_hash": entry.entry_hash})
    ticket = retrain(RetrainRequest(context=context, spec=SPEC, decision=decided))
    assert ticket.train_run_id is not None
    close(MODEL, ticket.train_run_id)
    return ticket.train_run_id
