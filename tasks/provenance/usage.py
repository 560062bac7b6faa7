"""What came of a batch, or of one row: the trainings that used it, their versions and answers.

Whether a training used it is not guessed from dates: its query is run again on the versions that it pinned,
without the batch, and the rows that are then missing are counted. So a row counts that the query joined, or
computed from several.
"""

from dataclasses import dataclass, field
from datetime import datetime

from tasks.contracts import BatchRows, TrainingRun, Usage, Use
from tasks.data.recalled import recalled_batches
from tasks.errors import NotFound, ServingError
from tasks.ledger import entries
from tasks.provenance import mlflow_runs, predictions, training_rows
from tasks.provenance.entries_about import judgement
from tasks.provenance.mlflow_runs import Record
from tasks.provenance.notes import Notes
from tasks.provenance.trace import spec_of
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import read_specs
from tasks.stores import registry
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import IS_MARK, literal, quote


def usage_of_batch(table: str, batch_id: str) -> Usage:
    """Every training that used a batch of the table, with its version and how often that answered.

    Raises:
        NotFound: The table has no such batch.
    """
    lake = Lake()
    if lake.app_version(table, batch_id) is None:
        raise NotFound(f"The table {table!r} has no batch {batch_id!r}. Nothing was looked into.")
    batch = training_rows.whole_batch(lake, table, batch_id)
    return _Search(lake, table, (batch,), f"batch_id = {literal(batch_id)}").usage(key=None)


def usage_of_row(table: str, key: str) -> Usage:
    """The same for one row by its key; all that ever came with that key counts as the row.

    Raises:
        NotFound: The table has no such row, or no model of the project describes the table.
    """
    lake, specs = Lake(), read_specs(settings().models)[0]
    columns = {described.table: described.key for spec in specs for described in spec.data.all_tables}
    if table not in columns:
        raise NotFound(f"No model of the project has a table {table!r}, so its key is not known.")
    condition = f"CAST({quote(columns[table])} AS VARCHAR) = {literal(key)}"
    names = f"SELECT DISTINCT batch_id FROM {quote(table)} WHERE {condition} AND NOT {IS_MARK}"  # noqa: S608
    found = lake.query(names, [table])["batch_id"].to_pylist()
    if not found:
        raise NotFound(f"The table {table!r} has no row whose {columns[table]} is {key[:100]!r}.")
    batches = [training_rows.whole_batch(lake, table, name, condition) for name in found]
    batches.sort(key=lambda batch: (batch.ingested_at is None, batch.ingested_at))
    return _Search(lake, table, tuple(batches), condition).usage(key=key)


@dataclass
class _Search:
    """One search through the trainings on a table.

    Attributes:
        condition: In SQL, which rows are asked about.
    """

    lake: Lake
    table: str
    batches: tuple[BatchRows, ...]
    condition: str
    notes: Notes = field(default_factory=Notes)

    def usage(self, key: str | None) -> Usage:
        look = "Which trainings saw the table"
        records = self.notes.unless_missing(look, lambda: mlflow_runs.trainings_on(self.table))
        gateway = self._gateway()
        commits = {commit.version: commit.at for commit in self.lake.commits(self.table)}
        seen = [record for record in records or () if self._saw(record, commits)]
        uses = [self._use(record, commits, gateway) for record in seen]
        return Usage(
            table=self.table,
            key=key,
            batches=self.batches,
            uses=tuple(use for use in uses if use is not None),
            complete=records is not None and gateway is not None,
            notes=tuple(self.notes),
        )

    def _gateway(self) -> Gateway | None:
        gateway = Gateway(retries=1)
        try:
            gateway.log_id()
        except ServingError as error:
            self.notes.append(f"Which version serves, and answers that were not collected yet: {error}")
            return None
        return gateway

    def _saw(self, record: Record, commits: dict[int, datetime]) -> bool:
        """Whether a training that ended well pinned a version of the table that has the rows."""
        version = record.pinned[self.table]
        return record.status == "FINISHED" and version in commits and self._is_in(version)

    def _is_in(self, version: int) -> bool:
        left_out = recalled_batches(self.lake, self.table, version)
        names = {batch.batch_id for batch in self.batches} - left_out
        return any(self.lake.holds(self.table, version, name) for name in names)

    def _use(self, record: Record, commits: dict[int, datetime], gateway: Gateway | None) -> Use | None:
        """What a training made of the rows; None where it did not use them. One of which nobody can say what
        it was trained from may have used any.
        """
        model, run_id = record.experiment, record.run_id
        run = self.notes.unless_missing(
            f"What the run {run_id} was trained from", lambda: registry.training_run(run_id)
        )
        if run is not None and self._was_another_table(run, commits):
            return None
        parts = None if run is None else self._parts(run)
        if parts is not None and not any(parts.values()):
            return None
        judged = judgement(entries.history(model), run_id, None)
        version = self.notes.unless_missing(
            f"The version of the run {run_id}", lambda: mlflow_runs.version_of(model, run_id)
        )
        route = gateway.route(model) if gateway else None
        return Use(
            model=model,
            run_id=run_id,
            table_version=record.pinned[self.table],
            parts=parts,
            verdict=judged.after if judged else None,
            version=version.version if version else None,
            serves=None if gateway is None else route is not None and route.run_id == run_id,
            answers=predictions.answers_of(self.lake, model, run_id, gateway),
        )

    def _was_another_table(self, run: TrainingRun, commits: dict[int, datetime]) -> bool:
        """Whether the table was removed and made anew since the training pinned a version of it."""
        pinned = {each.table: each for each in run.snapshot.pinned}[self.table]
        return pinned.version_at != commits[pinned.version]

    def _parts(self, run: TrainingRun) -> dict[str, int] | None:
        return self.notes.unless_missing(
            f"Which rows the run {run.run_id} used, so that it may have used any",
            lambda: training_rows.lost_without(
                self.lake, run.snapshot, spec_of(run.model), {self.table: self.condition}
            ),
        )
