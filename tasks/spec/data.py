"""What a team says of its data: tables, the query, the split."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.spec.base import ColumnType, Name, Rows, Share, Spec
from tasks.spec.slices import Slices

LOGGED_COLUMNS = frozenset(
    {
        "sequence",
        "prediction_id",
        "predicted_at",
        "labelled_at",
        "model_version",
        "run_id",
        "request",
        "prediction",
        "score",
        "sent_by",
        "latency_seconds",
        "label_sequence",
        "label_sent_by",
    }
)
"""What the log of predictions and labels has of every model, beside one column a feature."""


class TableSpec(Spec):
    """An append-only table of the lake and the door to it.

    Attributes:
        table: The table's name; files land in `landing/<table>/`.
        key: The column that identifies a row.
        columns: Each column's type, in the table's order. `timestamp` is UTC with microseconds.
        suite: The expectation suite's name, `great_expectations/expectations/<suite>.json`.
        maximum_bad_share: Of a file's rows, how many may be bad for whatever reason and go to quarantine:
            that cannot be read, have a value of a wrong type, no key of their own, text of a wrong encoding,
            or break an expectation. A file with more is refused as a whole.
        maximum_duplicate_share: Of a file's rows, how many may repeat another one in everything but the key.
            1 where equal rows are natural.
        unknown_columns: What happens to a column of a file that the table does not have: `refuse` the file,
            `ignore` the column, or `add` it to the table, whose earlier rows get null.
        missing_columns: What happens to a file that lacks one of the columns: `refuse` it, or `ignore` that,
            and its rows get null. The key is never missing.
    """

    table: Name
    key: str
    columns: dict[str, ColumnType]
    suite: Name
    maximum_bad_share: Share = 0.05
    maximum_duplicate_share: Share = 1.0
    unknown_columns: Literal["refuse", "add", "ignore"] = "refuse"
    missing_columns: Literal["refuse", "ignore"] = "refuse"

    @model_validator(mode="after")
    def _key_is_a_column(self) -> "TableSpec":
        if self.key not in self.columns:
            raise ValueError(f"key {self.key!r} is not one of the columns {sorted(self.columns)}")
        reserved = {"ingested_at", "batch_id"} & set(self.columns)
        if reserved:
            raise ValueError(f"the columns {sorted(reserved)} are added by the lake and may not be declared")
        names = [name.lower() for name in self.columns]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"SQL does not tell the columns {double} apart, whose names differ only in case")
        return self


class SplitSpec(Spec):
    """How rows are split: by a hash of `by`, so that a row is in the same part in every snapshot.

    Attributes:
        by: A column of the query's result, or several: rows with the same values are in the same part.
        validation_share: Of the rows, how many only decide when a training stops.
        test_share: Of the rows, how many no training sees, on which candidates are judged.
        near_duplicates: What becomes of a training row that says the same as a test or validation row, and of
            a validation row that says the same as a test row: it is left out of the snapshot (`leave_out`),
            or only counted (`count`). `auto` leaves it out where a feature is text, and counts in tables
            without text, where equal rows may be natural.
    """

    by: str | tuple[str, ...] = Field(min_length=1)
    validation_share: Share = 0.1
    test_share: Share = 0.2
    near_duplicates: Literal["auto", "leave_out", "count"] = "auto"

    @property
    def columns(self) -> tuple[str, ...]:
        """What `by` names."""
        return (self.by,) if isinstance(self.by, str) else self.by


class LabelCheckSpec(Spec):
    """How the labels of each new batch are judged before anything is trained on them.

    Attributes:
        enabled: Whether they are.
        false_alarm_rate: The expected number of sound batches, of 365, that are quarantined by chance.
        minimum_rows: A batch with fewer labelled rows cannot be judged.
        maximum_noise_share: Of a batch's labels, how many may be wrong.
        tolerated_shift: By how much the share of a label may be off what the earlier batches lead to expect.
    """

    enabled: bool = True
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    minimum_rows: Rows = 200
    maximum_noise_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    tolerated_shift: Share = 0.05


class DoorSpec(Spec):
    """Which labelled requests are kept out of training until a person decides: those that look like no
    ordinary traffic.

    Attributes:
        enabled: Whether any are.
        ordinary_share: Of ordinary rows, how many may be kept out as far outside of what the champion was
            trained on.
    """

    enabled: bool = True
    ordinary_share: Annotated[float, Field(gt=0, lt=0.1)] = 0.001


class DataSpec(TableSpec):
    """What a model is trained on.

    Attributes:
        tables: Further tables that the query may join. A table that several models name is described alike by
            all of them.
        query: SQL (DuckDB) over the pinned versions of `table` and `tables`, which show of rows with the same
            key the newest; the training rows, with the columns `key`, `label`, the split's `by`, and the
            features.
        features: The columns that a request to the service carries too, each of one of the tables.
        label: The column of the query's result to predict. The query may compute it; only where labels come
            back must it be a column of the table.
        split: How the rows are split into those for training, for stopping it and for judging.
        slice_by: Columns of the query's result whose values are evaluated one by one: a name, or a list of
            names and of `SliceSpec`, which parts numbers into bins. None for no slices.
        minimum_rows: A snapshot with fewer rows is rejected.
        feedback_query: SQL over the view `labelled` (prediction_id, predicted_at, labelled_at, model_version,
            sent_by, one column for each feature, label) giving rows of `table`; None where labels never come
            back. `sent_by` is the name of the token that sent the label.
        label_check: How new labels are judged before a training; of classes only.
        door: How labelled requests are judged before they join the table.
    """

    tables: tuple[TableSpec, ...] = ()
    query: str
    features: tuple[str, ...] = Field(min_length=1)
    label: str
    split: SplitSpec
    slice_by: Slices = ()
    minimum_rows: Rows = 100
    feedback_query: str | None = None
    label_check: LabelCheckSpec = LabelCheckSpec()
    door: DoorSpec = DoorSpec()

    @property
    def all_tables(self) -> tuple[TableSpec, ...]:
        """The model's own table, and those that its query joins."""
        return (self.own_table, *self.tables)

    @property
    def own_table(self) -> TableSpec:
        """The model's own table alone, without what the model makes of it."""
        return TableSpec(**{name: getattr(self, name) for name in TableSpec.model_fields})

    @property
    def feature_types(self) -> dict[str, ColumnType]:
        """Each feature's type, as the first of the tables with a column of its name declares it."""
        declared = {name: kind for table in reversed(self.all_tables) for name, kind in table.columns.items()}
        return {name: declared[name] for name in self.features}

    @model_validator(mode="after")
    def _tables_are_there_once(self) -> "DataSpec":
        names = [table.table for table in self.all_tables]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the tables {double} are described twice; describe each once")
        return self

    @model_validator(mode="after")
    def _features_have_names_of_their_own(self) -> "DataSpec":
        known = sorted({column for table in self.all_tables for column in table.columns})
        unknown = sorted(set(self.features) - set(known))
        if unknown:
            raise ValueError(f"the features {unknown} are not among the columns {known}")
        if self.feedback_query and self.label not in self.columns:
            raise ValueError(
                f"the label {self.label!r} is not among the columns {sorted(self.columns)}, so labels that "
                "come back cannot join the table: declare it, or leave feedback_query out"
            )
        taken = sorted(LOGGED_COLUMNS & set(self.features))
        if taken:
            raise ValueError(
                f"the features {taken} have names that the prediction log uses itself; rename them"
            )
        return self
