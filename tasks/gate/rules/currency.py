"""Are the test rows as new as what the champion was judged on?"""

from tasks.contracts import EvaluationReport, PinnedTable, RuleVerdict


def current_test_rows(evaluation: EvaluationReport) -> RuleVerdict:
    """A candidate of an older snapshot than the champion's is held: on the world of then, it may well win."""
    rule, known = "current_test_rows", {table.table: table for table in evaluation.champion_tables}
    older = [
        (table, known[table.table])
        for table in evaluation.tables
        if table.table in known and table.version_at < known[table.table].version_at
    ]
    common = known.keys() & {table.table for table in evaluation.tables}
    if older:
        why = f"The candidate was tested on {_told(older)}. Train again without as_of."
    elif not common:
        why = (
            "No table of the champion's snapshot is in the candidate's, so nothing shows which one is newer."
        )
    else:
        why = "The test rows are of the champion's version of each table, or of a newer one."
    return RuleVerdict(
        rule=rule,
        value=", ".join(_pin(table) for table in evaluation.tables) or None,
        threshold=", ".join(_pin(table) for table in evaluation.champion_tables) or None,
        passed=bool(common) and not older,
        blocks="hold",
        why=why,
    )


def _told(older: list[tuple[PinnedTable, PinnedTable]]) -> str:
    each = (
        f"version {own.version} of {own.table}, which is older than the champion's version {its.version}"
        for own, its in older
    )
    return ", and on ".join(each)


def _pin(table: PinnedTable) -> str:
    return f"{table.table}@{table.version}"
