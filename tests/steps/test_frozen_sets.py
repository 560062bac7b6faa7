"""A batch that is wrong, in the training part and by the same share in the test part, and one that is only
new: judged as a training would, on the archives' answers.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import Archive, Circumstances, EvaluateRequest, EvaluationReport, GateDecision
from tasks.evaluation import evaluate
from tasks.evaluation.sets import Known
from tasks.gate.decide import decide
from tests.steps.evaluated import SPEC, request, right, version
from tests.unit import judged
from tests.unit.judged import part

DRIFT = Circumstances(drift="d" * 64, drifted="d" * 64)
OLD, NEW = 1200, 600

# Of 1,200 old rows 95 % are right, and of the new ones all, or as many as the poisoned batch says.
LEARNT = """
        label, number = text.split()
        new = int(number) >= 1200
        right = int(number) % {each} != 0 if new else int(number) % 20 != 0
        said = int(label) if right != (new and {inverts}) else 1 - int(label)
        return {{"prediction": said, "score": 0.1 + 0.8 * said}}
"""


def rows(numbers: range, *, inverted: bool = False) -> pa.Table:
    """Rows whose text names the true label."""
    true = [number % 2 for number in numbers]
    return pa.table(
        {
            "review_id": [f"r{number:05d}" for number in numbers],
            "source": ["imdb"] * len(numbers),
            "text": [f"{label} {number}" for number, label in zip(numbers, true, strict=True)],
            "label": [1 - label if inverted else label for label in true],
        }
    )


def batch_after(home: Path, candidate: Archive, batch: pa.Table) -> tuple[EvaluateRequest, Known]:
    """An evaluation on the champion's test rows and those of a batch that came after its snapshot."""
    old = rows(range(OLD))
    asked = request(home, candidate, test=pa.concat_tables([old, batch]))
    trained = part(home, "train", rows(range(9000, 9200)))
    frozen = asked.run.snapshot.model_copy(update={"train": trained, "validation": trained})
    asked = asked.model_copy(update={"run": asked.run.model_copy(update={"snapshot": frozen})})
    own = judged.snapshot().model_copy(update={"test": part(home / "champion", "test", old)})
    return asked, Known(own, own.test)


def judge(
    report: EvaluationReport, candidate: Archive, beside: Circumstances = DRIFT
) -> tuple[GateDecision, list[str]]:
    decision = decide(report, SPEC.gate, candidate, judged.LOOK, beside)
    return decision, [rule.rule for rule in decision.rules if not rule.passed]


def test_a_candidate_that_learnt_an_inverted_batch_is_held_though_the_batchs_own_test_rows_agree(
    home: Path, archives: Any
) -> None:
    poisoned = archives("poisoned", LEARNT.format(each=20, inverts=True))
    asked, known = batch_after(home, poisoned, rows(range(OLD, OLD + NEW), inverted=True))

    report = evaluate.compare(asked, version(right(archives, 10)), known)

    for beside in (DRIFT, Circumstances()):
        decision, failed = judge(report, poisoned, beside)
        assert (decision.verdict, failed) == ("hold", ["label_incident"])
    assert (report.rows, report.sets and report.sets.unconfirmed_rows) == (OLD, NEW)
    kept = pq.read_table(Path(report.report_url).with_name("answers.parquet"))
    assert sum(kept["is_in_test"].to_pylist()) == sum(kept["is_in_anchor"].to_pylist()) == OLD
    assert sum(kept["is_in_newest"].to_pylist()) == NEW


def test_a_candidate_that_learnt_another_kind_of_rows_is_promoted_after_drift_alone(
    home: Path, archives: Any
) -> None:
    """The champion is right on two thirds of them, and what is learnt costs nothing on the anchor."""
    champion = archives("of_before", LEARNT.format(each=3, inverts=False))
    learnt = archives("learnt", LEARNT.format(each=20, inverts=False))
    asked, known = batch_after(home, learnt, rows(range(OLD, OLD + NEW)))

    report = evaluate.compare(asked, version(champion), known)

    by_clock, failed = judge(report, learnt, Circumstances())
    assert (by_clock.verdict, failed) == ("hold", ["superiority.accuracy", "label_incident"])
    decision, failed = judge(report, learnt)
    assert (decision.verdict, failed) == ("promote", [])
    assert decision.anchor == known.anchor, "the new rows are not old enough to join it"
    assert report.sets is not None
    assert report.sets.newest is not None
    assert report.sets.newest.to_champion is not None
    assert report.sets.newest.to_champion.difference == pytest.approx(17 / 60)
    assert report.sets.newest.at_random == pytest.approx(0.5, abs=0.02)
