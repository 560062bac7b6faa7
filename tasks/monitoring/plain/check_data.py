"""Judge the data of a plain file: by a suite as an ingest does, by a reference, or by itself."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from upath import UPath

from tasks.contracts import FileVerdict, Signal
from tasks.data.audit import audit
from tasks.data.file_readers import read_rows
from tasks.data.findings import Tally
from tasks.data.judge import judging
from tasks.data.plain_file import open_plain
from tasks.data.plain_rows import PlainRows, read_plain
from tasks.data.staging import Staging
from tasks.data.suites import Suite, load_suite, require_columns, require_declared_columns
from tasks.errors import DataRejected, InvalidRequest
from tasks.monitoring.plain.likeness import differences
from tasks.monitoring.plain.soundness import faults_of
from tasks.monitoring.plain.verdict import rejected, verdict_of
from tasks.settings import settings
from tasks.spec import TableSpec
from tasks.spec.pipeline import read_specs


def check_data(path: Path, suite: str | None = None, like: Path | None = None) -> FileVerdict:
    """Judge whether the data of a file is sound.

    Args:
        suite: The name of an expectation suite: the file is judged as one that lands in the suite's table.
        like: A file of the same kind that is known to be sound.

    Raises:
        InvalidProject: The suite is wrong, or not there.
        InvalidRequest: The file that is known to be sound cannot be read, which says nothing of the other, or
            one of them has too many columns.
    """
    if suite:
        return _by_suite(path, suite)
    try:
        file = read_plain(path)
    except DataRejected as error:
        return rejected("data", path.name, str(error), references=(like.name,) if like else ())
    try:
        reference = read_plain(like) if like else None
    except DataRejected as error:
        raise InvalidRequest(f"The reference cannot be read: {error}") from error
    found = faults_of(file, datetime.now(UTC), reference)
    cannot_tell = None
    if reference:
        further, cannot_tell = differences(file, reference)
        found += further
    return verdict_of(
        found,
        check="data",
        file=file.name,
        references=(reference.name,) if reference else (),
        rows=len(file.rows),
        reference_rows=len(reference.rows) if reference else None,
        cannot_tell=cannot_tell,
    )


def _by_suite(path: Path, name: str) -> FileVerdict:
    suite, table = load_suite(name), _table_of(name)
    try:
        return _audited(path, suite, table) if table else _evaluated(read_plain(path), suite)
    except DataRejected as error:
        return rejected("data", path.name, str(error)).model_copy(update={"suite": name})


def _table_of(suite: str) -> TableSpec | None:
    """The first table that the project's models describe with the suite."""
    specs, _ = read_specs(settings().models)
    tables = [table for spec in specs for table in (spec.data, *spec.data.tables)]
    return next((table for table in tables if table.suite == suite), None)


def _audited(path: Path, suite: Suite, table: TableSpec) -> FileVerdict:
    """As an ingest judges it, whose rows are staged in a folder that goes."""
    require_declared_columns(suite, table)
    with (
        open_plain(path) as landed,
        tempfile.TemporaryDirectory(prefix="plain-") as folder,
        judging(suite) as judge,
    ):
        staging = Staging(UPath(folder), landed.batch_id)
        found = audit(landed.name, lambda: read_rows(landed, table, {}), table, judge, staging)
        counts = dict(staging.counts)
        staging.discard()
    signals = [_refused(path.name, sentence) for sentence in found.refused_because]
    for what, rows in (
        ("would go to quarantine", counts["quarantined"]),
        ("are exact copies, which join once", found.repeated_rows),
        ("hold nothing", found.blank_rows),
    ):
        if rows:
            why = f"{rows} rows {what}."
            signals.append(
                Signal(
                    question="validity",
                    reason="rows",
                    subject=path.name,
                    level="note",
                    value=rows,
                    unit="rows",
                    why=why,
                )
            )
    outcomes = tuple(f"{outcome.expectation}: {outcome.message}" for outcome in found.outcomes)
    return verdict_of(
        signals, check="data", file=path.name, suite=suite.name, rows=sum(counts.values()), outcomes=outcomes
    )


def _evaluated(file: PlainRows, suite: Suite) -> FileVerdict:
    """By the expectations alone, where no model describes the table."""
    require_columns(suite, suite.expectations, file.rows.column_names)
    tallies = {expectation: Tally(expectation) for expectation in suite.expectations}
    with judging(suite) as judge:
        for expectation, finding in zip(tallies, judge.evaluate(list(tallies), file.rows), strict=True):
            tallies[expectation].add(finding)
    outcomes = [tally.outcome() for tally in tallies.values()]
    unmet = [outcome for outcome in outcomes if not outcome.met and outcome.expectation.required]
    return verdict_of(
        [_refused(file.name, f"{outcome.expectation}: {outcome.message}") for outcome in unmet],
        check="data",
        file=file.name,
        suite=suite.name,
        rows=len(file.rows),
        outcomes=tuple(f"{outcome.expectation}: {outcome.message}" for outcome in outcomes),
    )


def _refused(file: str, sentence: str) -> Signal:
    return Signal(question="validity", reason="suite", subject=file, level="incident", why=sentence)
