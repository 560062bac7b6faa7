"""A comparison of a training that was run again."""

from typing import Any

from tasks.contracts import AnswerDifferences, Reproduction


def reproduction(**changes: Any) -> Reproduction:
    same = AnswerDifferences(rows=10, predictions=0, max_abs_difference=0.0, same=True, within_tolerance=True)
    lists = dict.fromkeys(("conditions", "largest", "files", "metrics", "nondeterministic_operators"), ())
    fields: dict[str, Any] = {
        "model": "m",
        "version": "3",
        "run_id": "run-3",
        "experiment_id": "1",
        "reproduced_as": "run-9",
        "verdict": "identical",
        "why": "identical: as it was.",
        "tolerance": 1e-4,
        "tensors": 2,
        "tensors_differing": 0,
        "answers": same,
        "rows_made_again": False,
        "report_url": "",
        **lists,
    }
    return Reproduction(**{**fields, **changes})
