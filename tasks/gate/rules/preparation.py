"""Does the archive's handler prepare rows as the training did?"""

from tasks.contracts import Preparation, RuleVerdict
from tasks.evaluation.preparation.compare import tell


def prepares_as_trained(found: Preparation) -> RuleVerdict:
    """One row whose inputs to the network differ in one bit rejects, whatever it does to the metric."""
    why = tell(found)
    if found.unknown is not None:
        why += " Correct that, or take the function out of train.py."
    return RuleVerdict(
        rule="prepares_as_trained",
        value=None if found.unknown is not None else float(found.differing),
        threshold=0.0,
        passed=found.unknown is None and found.differing == 0,
        blocks="reject",
        why=why,
    )
