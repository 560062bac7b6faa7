"""Are the test rows as new as what the champion was judged on?"""

from tasks.contracts import EvaluationReport, PinnedTable, RuleVerdict


def current_test_rows(evaluation: EvaluationReport) -> RuleVerdict:
    """A candidate of an older snapshot than the champion's is held: on the world of then, it may well win.

    Where the two have no table in common, the one that changed last on each side is compared.
    """
    known = {table.table: table for table in evaluation.champion_tables}
    pairs = [(table, known[table.table]) for table in evaluation.tables if table.table in known]
    if not pairs and evaluation.tables and evaluation.champion_tables:
        sides = (evaluation.tables, evaluation.champion_tables)
        own, its = (max(side, key=lambda table: table.version_at) for side in sides)
        pairs = [(own, its)]
    older = [(own, its) for own, its in pairs if own.version_at < its.version_at]
    if older:
        why = f"The candidate was tested on {_told(older)}. Train again without as_of."
    elif not pairs:
        why = "It is not known which tables the two snapshots are of, so neither which of them is newer."
    else:
        why = "The test rows are of the champion's version of each table, or of a newer one."
    return RuleVerdict(
        rule="current_test_rows",
        value=", ".join(_pin(table) for table in evaluation.tables) or None,
        threshold=", ".join(_pin(table) for table in evaluation.champion_tables) or None,
        passed=bool(pairs) and not older,
        blocks="hold",
        why=why,
    )


def _told(older: list[tuple[PinnedTable, PinnedTable]]) -> str:
    each = (
        f"version {own.version} of {own.table}, which is older than version {its.version} of {its.table}, "
        "which the champion was tested on"
        for own, its in older
    )
    return "; and on ".join(each)


def _pin(table: PinnedTable) -> str:
    return f"{table.table}@{table.version}"
