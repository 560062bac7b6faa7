"""Does the candidate need little enough memory to serve?"""

from collections.abc import Iterator

from tasks.contracts import EvaluationReport, RuleVerdict
from tasks.spec import GateSpec


def peak_memory(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    """Above `peak_memory_bytes` rejects, and so does what was not measured; no verdict without a limit."""
    measured, limit = evaluation.candidate.peak_memory_bytes, rules.peak_memory_bytes
    if limit is None:
        return
    passed = measured is not None and measured <= limit
    if measured is None:
        why = f"The memory was not measured, so the limit of {_mib(limit)} cannot be checked."
    else:
        why = (
            f"The process that answered the test rows had at most {_mib(measured)} of memory, which is "
            f"{'within' if passed else 'above'} the limit of {_mib(limit)}."
        )
    yield RuleVerdict(
        rule="peak_memory_bytes", value=measured, threshold=limit, passed=passed, blocks="reject", why=why
    )


def _mib(number: int) -> str:
    return f"{number / 2**20:,.1f} MiB"
