"""What is asked and said of where something came from, what came from it, and why it was decided."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, field_validator

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.evaluation import EvaluationReport
from tasks.contracts.gate import GateDecision
from tasks.contracts.ledger import LedgerEntry
from tasks.contracts.monitoring import RetrainTicket
from tasks.contracts.serving import ModelVersion, Route
from tasks.contracts.training import Archive, TrainingRun
from tasks.spec import Name

Kind = Literal["prediction", "version", "run", "airflow_run", "entry", "batch", "row", "model"]


class Subject(Contract):
    """What was asked about: whatever names it is set, the rest is None.

    Attributes:
        airflow_run: `<dag>/<run>`, of a run that made no training.
        entry: The number of a ledger's entry.
    """

    kind: Kind
    model: str | None = None
    version: str | None = None
    run_id: str | None = None
    prediction_id: str | None = None
    table: str | None = None
    batch_id: str | None = None
    key: str | None = None
    airflow_run: str | None = None
    entry: int | None = None


class Label(Contract):
    """What somebody said was true of a prediction; `sent_by` is the name of their token."""

    label: Any
    received_at: AwareDatetime
    sent_by: str | None


class Answer(Contract):
    """One prediction, as the gateway logged it.

    Attributes:
        request: The whole instance.
        latency_seconds: From the request's arrival to the model's answer; None in logs of an earlier
            Perennial.
        labels: Every label that came for it, oldest first.
        kept_in: Where it was found.
    """

    prediction_id: str
    model: str
    model_version: str
    run_id: str
    predicted_at: AwareDatetime
    request: dict[str, Any]
    prediction: Any
    score: float | None
    latency_seconds: float | None = None
    sent_by: str | None = None
    labels: tuple[Label, ...] = ()
    kept_in: str


class BatchRows(Contract):
    """Rows of one batch of a table.

    Attributes:
        file: The landed file that the batch came from; None where the landing folder does not hold it.
        rows: How many; of the whole batch, or of those that a training saw.
        recalled: Whether snapshots leave it out from now on.
    """

    table: str
    batch_id: str
    file: str | None
    ingested_at: AwareDatetime | None
    rows: int
    recalled: bool = False


class TrainingRows(Contract):
    """The rows that a training saw.

    Attributes:
        rows: Of all three parts.
        query: SQL (DuckDB) that gives them, over the Parquet files of the snapshot.
        batches: Which batches of the model's own table they came in, the largest first; empty where that
            cannot be told, and `notes` of the lineage say why.
        parquet: The file that they were written to, where that was asked for.
    """

    rows: int
    query: str
    batches: tuple[BatchRows, ...] = ()
    parquet: str | None = None


class Lineage(Contract):
    """Everything that one answer, or one version, came from.

    Attributes:
        answer: The prediction that was asked about; None for a version or a run.
        version: None where the run was not promoted.
        archive: What was judged; None where the run was never judged.
        status, dag_run: MLflow's word on the run, and the Airflow run that trained it.
        started_by: What started it, as `StartedBy`; None in records of an earlier Perennial.
        run: Parameters, commit, image, lock and snapshot; None where the training did not end well.
        notes: What could not be found, and why, and what does not fit the ledger; sentences.
    """

    model: str
    run_id: str
    answer: Answer | None = None
    version: ModelVersion | None = None
    archive: Archive | None = None
    status: str | None = None
    started_at: AwareDatetime | None = None
    reason: str | None = None
    started_by: str | None = None
    dag_run: str | None = None
    run_url: str | None = None
    run: TrainingRun | None = None
    training_rows: TrainingRows | None = None
    notes: tuple[str, ...] = ()


class Answers(Contract):
    """How many answers one run gave, as far as the log says; `query` gives them out of the lake."""

    rows: int
    first_at: AwareDatetime | None
    last_at: AwareDatetime | None
    query: str


class Use(Contract):
    """One training that used rows of a batch.

    Attributes:
        table_version: The version of the table that its snapshot pinned.
        parts: How many of the rows each part of the snapshot has; None where the table was joined, or the
            parts cannot be read: then it may have used any of them.
        verdict: The gate's; None where it was never judged.
        version: None where it was not promoted.
        serves: Whether it answers requests now; None where the gateway does not answer.
    """

    model: str
    run_id: str
    table_version: int
    parts: dict[str, int] | None
    verdict: str | None
    version: str | None
    serves: bool | None
    answers: Answers

    @property
    def rows(self) -> int | None:
        return None if self.parts is None else sum(self.parts.values())


class Usage(Contract):
    """What came of a batch, or of one row: every training that used it, oldest first.

    Attributes:
        key: Of the row; None for the whole batch.
        batches: The batch; of a row every batch that it came in, oldest first.
        complete: False where MLflow or the gateway did not answer, so that trainings, or what serves, may be
            missing.
        notes: What could not be looked into, and why; sentences.
    """

    table: str
    key: str | None
    batches: tuple[BatchRows, ...]
    uses: tuple[Use, ...]
    complete: bool = True
    notes: tuple[str, ...] = ()


class Explanation(Contract):
    """Why something is as it is, as far as the records say.

    Attributes:
        why: The answer in a few sentences.
        lineage: What it came from; None for a batch or a row.
        usage: What came of it; None for anything else.
        evaluation, gate: On which scores the gate decided about the run, and what; None where it did not.
        decisions: The ledger's entries that led to it and those about it since, oldest first.
        serving: What answers for the model now; None where nothing does, or the gateway does not answer.
        broken_entries: Numbers of the ledger's entries that are changed or missing; usually none.
    """

    subject: Subject
    asked_at: AwareDatetime
    why: tuple[str, ...]
    lineage: Lineage | None = None
    usage: Usage | None = None
    evaluation: EvaluationReport | None = None
    gate: GateDecision | None = None
    decisions: tuple[LedgerEntry, ...] = ()
    serving: Route | None = None
    broken_entries: tuple[int, ...] = ()


class ExplainRequest(Request):
    """Explain one thing.

    Attributes:
        subject: Its name, in any of the forms that `perennial why` takes.
    """

    subject: str = Field(min_length=1)


class Explained(Contract):
    """An explanation, and where its page lies in the store."""

    explanation: Explanation
    report_url: str


class RecallRequest(Request):
    """Leave batches out of every later training.

    Attributes:
        batch_ids: Each once, in the order of the request.
        table: Where the batches are; None to look into every table.
        reason: Why; the ledger keeps it.
    """

    batch_ids: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    table: Name | None = None
    reason: str

    @field_validator("batch_ids")
    @classmethod
    def _each_once(cls, batch_ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(batch_ids))

    @field_validator("reason")
    @classmethod
    def _is_said(cls, reason: str) -> str:
        if not reason.strip():
            raise ValueError("is blank; the ledger keeps why this was asked for: say it")
        return reason


class RecalledBatch(Contract):
    """A batch that was recalled, and what had used it.

    Attributes:
        table_version: From this version on no snapshot sees the batch.
        ledger_hash: Of the entry that was written first.
    """

    usage: Usage
    table_version: int
    ledger_hash: str


class Recall(Contract):
    """What a recall did.

    Attributes:
        batches: In the order of the request.
        tickets: Trainings without the batches that were asked for, one for each model whose serving version
            used any of them; a refused one says why.
    """

    batches: tuple[RecalledBatch, ...]
    tickets: tuple[RetrainTicket, ...]
