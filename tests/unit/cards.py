"""A model card of every part, for the tests of how it is told."""

from datetime import UTC, datetime
from typing import Any

from tasks.contracts import (
    DecisionOf,
    Effect,
    EnergyAssumptions,
    ExplainedRow,
    Explanations,
    FairnessGap,
    GateDecision,
    GroupValue,
    Importance,
    Lineage,
    Metric,
    ModelCard,
    RuleVerdict,
    SliceScore,
    TrainingSeconds,
)
from tasks.provenance.card.content import columns_of
from tasks.provenance.card.energy import energy_of
from tasks.provenance.card.limits import limits_of
from tasks.spec import CardSpec
from tests.unit import judged

AT = datetime(2026, 2, 1, 12, tzinfo=UTC)
ASSUMED = EnergyAssumptions(
    processor_watts=10, gpu_watts=300, overhead=1.5, carbon_grams_per_kwh=400,
    processor_price_per_hour=0.04, gpu_price_per_hour=2, currency="EUR",
)  # fmt: skip
SECONDS = TrainingSeconds(wall=1800, processor=3600, gpu=0, processor_is_measured=True)
SAID = CardSpec(
    purpose="It sorts reviews.", intended_use="By the shop's editors.", out_of_scope="No decision on people.",
    limits="Irony is often missed.", fairness="Both sources were looked at.", contact="ann@example.org",
    licence="Apache-2.0",
)  # fmt: skip
GAP = FairnessGap(
    column="source", metric="accuracy", gap=0.05, low=0.01, high=0.09,
    groups=(
        GroupValue(value="imdb", rows=700, metric=0.92), GroupValue(value="traffic", rows=300, metric=0.87),
    ),
)  # fmt: skip


def slice_of(value: str, rows: int, accuracy: float) -> SliceScore:
    metric = Metric(name="accuracy", value=accuracy, low=accuracy - 0.03, high=accuracy + 0.03)
    return SliceScore(column="source", value=value, rows=rows, metric=metric)


def card(**changes: Any) -> ModelCard:
    """The card of a version that was judged against a champion."""
    slices = (slice_of("imdb", 700, 0.92), slice_of("traffic", 40, 0.81))
    report = judged.evaluation(scored=judged.score("candidate", 0.9, slices=slices), fairness=(GAP,))
    rule = RuleVerdict(
        rule="fairness.source.accuracy", value=0.05, threshold=0.1, passed=True, blocks="hold",
        why="The gap in accuracy between the groups of source is surely at most 0.1.",
    )  # fmt: skip
    gate = GateDecision(
        model=judged.MODEL, run_id=judged.RUN, verdict="promote", first_model=False, rules=(rule,),
        why="all 1 rules passed", archive_sha256="1" * 64, evaluation_url="report.json",
    )  # fmt: skip
    fields: dict[str, Any] = {
        "model": judged.MODEL, "version": "3", "run_id": judged.RUN, "made_at": AT,
        "description": judged.SPEC.description, "owner": judged.SPEC.owner, "task": "binary", "said": SAID,
        "columns": columns_of(judged.SPEC), "parent": judged.CHAMPION, "evaluation": report, "gate": gate,
        "lineage": Lineage(
            model=judged.MODEL, run_id=judged.RUN, archive=judged.archive(), run=judged.run(),
            started_by="data", reason="New rows had joined.", dag_run="train_reviews/1", started_at=AT,
        ),
        "fairness_limits": {"source": {"accuracy": 0.1}}, "measured_limits": limits_of(report),
        "explanations": Explanations(
            method="Each word was left out in turn.", number="the score of the positive class", asked=900,
            overall=(Importance(name="wonderful", change=0.21, low=0.18, high=0.24, rows=30),),
            rows=(ExplainedRow(row="r00007", text="A wonderful film.", answer="1", label="0", number=0.93,
                               effects=(Effect(name="wonderful", value=None, change=0.3),)),),
        ),
        "energy": energy_of(SECONDS, ASSUMED),
        "decisions": (DecisionOf(
            sequence=7, at=AT, actor="airflow:gate", action="gate", before=None, after="promote",
            why="all 1 rules passed", entry_hash="9" * 64,
        ),),
    }  # fmt: skip
    return ModelCard(**(fields | changes))
