"""Is the archive small enough?"""

from tasks.contracts import Archive, RuleVerdict
from tasks.spec import GateSpec


def archive_size(archive: Archive, rules: GateSpec) -> RuleVerdict:
    """An archive above `archive_bytes` rejects."""
    size, limit = archive.size_bytes, rules.archive_bytes
    passed = size <= limit
    return RuleVerdict(
        rule="archive_bytes",
        value=size,
        threshold=limit,
        passed=passed,
        blocks="reject",
        why=f"The archive of {size} bytes is {'within' if passed else 'above'} the limit of {limit}.",
    )
