"""What was decided before a rule was there is decided again as it was."""

import json

from tasks.contracts import Archive, EvaluationReport
from tasks.gate.decide import decide
from tasks.spec import GateSpec
from tests.unit.judged import LOOK, archive, evaluation

SINCE_THEN = {
    "evaluation": {"behaviour", "health", "sets", "baseline_difference", "fairness"},
    "rules": {"slice_threshold", "slice_thresholds", "baseline", "fairness", "peak_memory_bytes"},
}
RULES_THEN = {
    "minimum_test_rows",
    "minimum.accuracy",
    "gain_over_baseline",
    "current_test_rows",
    "superiority.accuracy",
    "latency_p95_seconds",
    "archive_bytes",
}


def test_a_record_without_what_later_rules_read_is_decided_by_the_rules_of_then() -> None:
    rules = GateSpec(minimum={"accuracy": 0.8})
    kept = {
        name: {key: value for key, value in json.loads(data.model_dump_json()).items() if key not in later}
        for (name, later), data in zip(SINCE_THEN.items(), (evaluation(), rules), strict=True)
    }
    kept["evaluation"]["candidate"].pop("peak_memory_bytes")
    for difference in kept["evaluation"]["differences"]:
        difference.pop("slice_column")

    decision = decide(
        EvaluationReport.model_validate(kept["evaluation"]),
        GateSpec.model_validate(kept["rules"]),
        Archive.model_validate(archive().model_dump()),
        LOOK,
    )

    assert decision.verdict == "promote"
    assert {rule.rule for rule in decision.rules} == RULES_THEN
