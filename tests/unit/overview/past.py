"""A ledger with a past, for the pages: decided by the code that decides, on made-up measurements."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.contracts import (
    Action,
    ColumnShares,
    DriftDecision,
    LedgerEntry,
    MeasuredWindow,
    MeasuredWindows,
    Metric,
    PairedDifference,
    Signal,
    SliceScore,
)
from tasks.gate.decide import decide
from tasks.ledger import entries
from tasks.monitoring.decide import Findings, judge
from tasks.monitoring.states import next_state
from tasks.monitoring.watch import Memory
from tests.unit import judged

MODEL = judged.MODEL
DAY = datetime(2026, 11, 1, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)><script>alert('why')</script>"
"""What somebody may write as their reason, or name a value of the data."""


@dataclass
class Past:
    """A model whose decisions are written as they come."""

    model: str = MODEL
    days: int = 0

    def judged(
        self,
        number: int,
        *,
        gain: float | None = None,
        champion: int | None = None,
        falls_to: float | None = None,
        **changes: Any,
    ) -> LedgerEntry:
        """The gate's entry on a candidate: of a first model, or of one that differs by `gain`.

        Args:
            falls_to: What the champion scores on the new labels; None where there are none.
        """
        run, sha256 = self.run_of(number), f"{number:x}" * 64
        names = {"model": self.model, "run_id": run, "archive_sha256": sha256[:64]}
        accuracy = 0.9 + (gain or 0)
        slices = tuple(
            SliceScore(column="source", value=value, rows=rows, metric=_metric(accuracy + off, 0.02))
            for value, rows, off in (("mail", 400, 0.01), (HOSTILE, 350, -0.01))
        )
        scored = judged.score("candidate", accuracy, run_id=run, archive_sha256=sha256[:64], slices=slices)
        before = None
        if champion is not None:
            own = {"run_id": self.run_of(champion), "archive_sha256": (f"{champion:x}" * 64)[:64]}
            before = judged.score("champion", 0.9, **own)
        differences = () if gain is None else (judged.gained(gain), *(_sliced(each, gain) for each in slices))
        made: dict[str, Any] = {"model": self.model, "champion": 0.9 if before else None}
        made["differences"] = differences
        if falls_to is not None:
            made["sets"] = judged.sets(judged.set_score(falls_to))
        report = judged.evaluation(scored=scored, **made)
        if before is not None:
            report = report.model_copy(update={"champion": before})
        archive = judged.archive(model=self.model, run_id=run, version=run, sha256=sha256[:64])
        look = judged.LOOK if before else None
        decision = decide(report, judged.SPEC.gate, archive, look)
        known = {"evaluation": report, "archive": archive, "rules": judged.SPEC.gate, "look": look}
        return entries.record(
            model=self.model,
            actor=f"airflow:train_{self.model}/manual__{number}/gate, asked for by ann",
            action=Action.GATE,
            before=self.run_of(champion) if champion else None,
            after=decision.verdict,
            why=decision.why,
            evidence={**known, "decision": decision, "started_by": "manual", **names, **changes},
        )

    def switched(
        self, number: int, *, before: int | None = None, action: Action = Action.DEPLOY
    ) -> LedgerEntry:
        """The entry by which a version begins to serve, or serves again."""
        return entries.record(
            model=self.model,
            actor=f"airflow:train_{self.model}/manual__{number}/promote",
            action=action,
            before=str(before) if before else None,
            after=str(number),
            why=f"Version {number} answers as it was judged.",
            evidence={
                "route": self.route(number),
                "before": self.route(before) if before else None,
                "days": self.days,
            },
        )

    def checked(
        self, number: int, auc: float = 0.52, memory: Memory | None = None, **changes: Any
    ) -> LedgerEntry:
        """The entry of a drift check of the version that serves; `memory` is what was before."""
        self.days += 1
        signal = {
            "question": "input",
            "reason": "location",
            "subject": HOSTILE,
            "level": "alarm",
            "value": 4.0,
            "threshold": 3.0,
            "unit": "standard deviations",
            "why": f"{HOSTILE} has moved.",
        }
        signals = (Signal.model_validate(signal),) if auc > 0.65 else ()
        findings = Findings(
            window_rows=500,
            bad_share=0.0,
            usable_rows=500,
            reference_rows=500,
            domain_auc=auc,
            null_auc=0.55,
            new_rows=900,
            signals=signals,
        )
        found = judge(findings, judged.SPEC.monitor)
        step = next_state(found, memory or Memory(), judged.SPEC.monitor)
        start = DAY + timedelta(days=self.days)
        decision = DriftDecision(
            model=self.model,
            champion_run_id=self.run_of(number),
            window_start=start,
            window_end=start + timedelta(days=1),
            window_rows=500,
            reference_rows=500,
            verdict=step.verdict,
            domain_auc=auc,
            null_auc=0.55,
            threshold=0.65,
            columns=({"column": "text", "distance": 0.12, "method": "PSI"},),
            new_rows=900,
            validation=None,
            why=step.why,
            report_url=None,
            signals=signals,
            state=step.state,
            follows=step.follows,
            **changes,
        )
        return entries.record(
            model=self.model,
            actor=f"airflow:drift_{self.model}/scheduled__{self.days}/drift",
            action=Action.DRIFT,
            before=self.run_of(number),
            after=step.verdict,
            why=step.why,
            evidence={
                "decision": decision,
                "findings": findings,
                "check": found,
                "rules": judged.SPEC.monitor,
                "distributions": _distributions(auc),
                "measured": _measured(start, self.days),
            },
        )

    def released(
        self, number: int, after: str, at: str = "canary_10", *, stable: int, **evidence: Any
    ) -> LedgerEntry:
        """A step of a release by stages."""
        release_id = f"{self.model}-{number}"
        told = {"release_id": release_id, "version": str(number), "at": at, "share": 0.1}
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        routes = {"candidate": self.route(number), "stable": self.route(stable)}
        return entries.record(
            model=self.model,
            actor=f"airflow:release_{self.model}/manual__{number}/{after}",
            action=Action.RELEASE,
            before=str(stable),
            after=after,
            why=f"{after} at {at}.",
            evidence={**told, "until": until, **routes, **evidence},
        )

    def quarantined(self, batch_id: str) -> LedgerEntry:
        """The entry that puts a batch's labels into quarantine."""
        return entries.record(
            model=self.model,
            actor=f"airflow:train_{self.model}/manual__9/quarantine",
            action=Action.BATCH,
            before=batch_id,
            after="quarantined",
            why="Its labels contradict what is known.",
            evidence={"batch_id": batch_id, "tables": []},
        )

    def run_of(self, number: int) -> str:
        """The MLflow run of a version."""
        return f"{number:x}" * 32

    def route(self, number: int) -> dict[str, Any]:
        """Where the gateway sends requests for a version."""
        run = self.run_of(number)
        return {
            "model": self.model,
            "model_version": str(number),
            "run_id": run,
            "backend_version": run,
            "archive_sha256": (f"{number:x}" * 64)[:64],
            "input_schema": {},
            "label_schema": {},
            "timeout_seconds": 1.0,
        }


def _distributions(auc: float) -> tuple[ColumnShares, ...]:
    """A number that moves with the evidence, and a category whose values are of anybody's making."""
    moved = round((auc - 0.5) / 2, 3)
    ranges = ((0.2, 0.2 - moved), (0.5, 0.5), (0.3, 0.3 + moved))
    number = ColumnShares(
        column=HOSTILE,
        kind="number",
        labels=("up to 3", "3 to 9", "above 9"),
        shares=ranges,
        places=(0.0, 3.0, 9.0, 20.0),
        new=(0.0, moved),
        missing=(0.0, 0.01),
        rows=(500, 500),
    )
    category = ColumnShares(
        column="source",
        kind="category",
        labels=("mail", HOSTILE[:40]),
        shares=((0.7, 0.6), (0.2, 0.3)),
        others=(0.1, 0.1),
        new=(0.0, 0.0),
        missing=(0.0, 0.0),
        rows=(500, 500),
    )
    return (number, category)


def _measured(start: datetime, days: int) -> MeasuredWindows:
    """The newest three windows; labels of the one before come late and change it a little."""
    windows = [
        MeasuredWindow(
            start=start - timedelta(days=ago),
            labelled=100 + 50 * ago,
            value=0.92 - 0.04 * (days - ago == 3) - 0.01 * ago,
            low=0.84,
            high=0.95,
            threshold=0.89,
        )
        for ago in range(min(days, 3))[::-1]
    ]
    return MeasuredWindows(metric="accuracy", windows=tuple(windows))


def _sliced(each: SliceScore, gain: float) -> PairedDifference:
    found = judged.gained(gain, slice_value=each.value, rows=each.rows)
    return found.model_copy(update={"slice_column": each.column})


def _metric(value: float, width: float) -> Metric:
    return Metric(name="accuracy", value=value, low=value - width, high=value + width)


def lived(model: str = MODEL) -> Past:
    """A model with two versions: the first, quiet days, a held candidate, a better one that serves, an alarm,
    and a batch that waits for a person.
    """
    past = Past(model)
    past.judged(1)
    past.switched(1)
    past.checked(1)
    past.checked(1, 0.55)
    past.judged(3, gain=0.0, champion=1)
    past.judged(2, gain=0.02, champion=1)
    past.released(2, "stage", stable=1)
    past.released(2, "promoted", stable=1)
    past.switched(2, before=1)
    past.checked(2, 0.9)
    past.quarantined("batch-7")
    return past


def troubled(model: str) -> Past:
    """A model that serves, whose champion falls on the new labels, and whose breaker is open."""
    past = Past(model)
    past.judged(1)
    past.switched(1)
    past.judged(2, gain=0.02, champion=1, falls_to=0.1)
    failures = judged.SPEC.monitor.breaker_after
    past.checked(1, 0.9, Memory(failures_in_a_row=failures, model=model))
    return past
