"""`PipelineSpec`: what a team says about its model, in
models/<name>/pipeline.yaml, checked when it is read.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.errors import InvalidProject

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Rows = Annotated[int, Field(ge=0)]
ColumnType = Literal["string", "int64", "float64", "bool", "timestamp", "date"]

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
    }
)
"""What the prediction log has of every model, beside one column a feature."""


def _json_schema(value: dict[str, Any]) -> dict[str, Any]:
    json.dumps(value)
    if value.get("type") is None:
        raise ValueError("a JSON Schema with a `type` is expected")
    return value


# What the gate may compare by: larger is better for each of them. The evaluation reports others too.
MetricName = Literal["accuracy", "balanced_accuracy", "f1", "roc_auc"]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]

JsonSchema = Annotated[dict[str, Any], AfterValidator(_json_schema)]


def faults_of(error: ValidationError) -> list[str]:
    """Each fault as `field.path: what is wrong`."""
    return [f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}" for fault in error.errors()]


class Spec(BaseModel):
    """A part of pipeline.yaml: frozen, and an unknown field
    is an error rather than a typo that goes unnoticed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class TableSpec(Spec):
    """An append-only table of the lake and the door to it.

    Attributes:
        table: The table's name; files land in `landing/<table>/`.
        key: The column that identifies a row.
        columns: Each column's type, in the table's order. `timestamp` is UTC with microseconds.
        suite: The expectation suite's name, `great_expectations/expectations/<suite>.json`.
    """

    table: Name
    key: str
    columns: dict[str, ColumnType]
    suite: Name

    @model_validator(mode="after")
    def _key_is_a_column(self) -> "TableSpec":
        if self.key not in self.columns:
            raise ValueError(f"key {self.key!r} is not one of the columns {sorted(self.columns)}")
        reserved = {"ingested_at", "batch_id"} & set(self.columns)
        if reserved:
            raise ValueError(f"the columns {sorted(reserved)} are added by the lake and may not be declared")
        return self


class SplitSpec(Spec):
    """How rows are parted: by a hash of the column `by`, so that a row is in
    the same part in every snapshot.
    """

    by: str
    validation_share: Share = 0.1
    test_share: Share = 0.2


class DataSpec(TableSpec):
    """What a model is trained on.

    Attributes:
        query: SQL (DuckDB) over the pinned version of `table`, which shows of rows with the same key the
            newest; the training rows, with the columns `key`, `label`, the split's `by`, and the features.
        features: The columns that a request to the service carries too.
        label: The column of the query's result to predict. The query may compute it; only where labels come
            back must it be a column of the table.
        slice_by: A column whose values are evaluated one by one; None for no slices.
        minimum_rows: A snapshot with fewer rows is rejected.
        feedback_query: SQL over the view `labelled` (prediction_id, predicted_at, labelled_at, model_version,
            one column for each feature, label) giving rows of `table`; None where labels never come back.
    """

    query: str
    features: tuple[str, ...] = Field(min_length=1)
    label: str
    split: SplitSpec
    slice_by: str | None = None
    minimum_rows: Rows = 100
    feedback_query: str | None = None

    @model_validator(mode="after")
    def _features_have_names_of_their_own(self) -> "DataSpec":
        unknown = sorted(set(self.features) - set(self.columns))
        if unknown:
            raise ValueError(f"the features {unknown} are not among the columns {sorted(self.columns)}")
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


class TrainingSpec(Spec):
    """How the model is trained.

    Attributes:
        entry_point: An entry point of MLproject.
        parameters: JSON-Schema fragments (`type`, `minimum`, `maximum`, `enum`, `description`) that narrow
            MLproject's parameters in Airflow's trigger form.
        schedule: Cron expression (UTC), or None to train only when asked or when drift is decided.
        timeout_seconds: The longest a training may take.
        retries: How often an infrastructure fault is tried again.
        allow_other_commit: Whether a run may train in an image that was built from another commit than the
            run's.
    """

    entry_point: str = "main"
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    schedule: str | None = None
    timeout_seconds: float = Field(default=3600, gt=0)
    retries: int = Field(default=2, ge=0)
    allow_other_commit: bool = False


class ResourcesSpec(Spec):
    """What a training may use. In a container or a pod these are limits that the kernel enforces.

    Attributes:
        cpus: Cores; a half is allowed.
        memory_mib: Memory, in MiB; a training that needs more is ended, and says so.
        scratch_mib: The training's scratch folder (its data, its output, its temporary files), in MiB.
        gpus: `required`: without a GPU the run fails before anything is spent. `preferred`: it trains on the
            CPU then.
    """

    cpus: float = Field(default=1, gt=0)
    memory_mib: int = Field(default=4096, gt=0)
    scratch_mib: int = Field(default=2048, gt=0)
    gpus: Literal["required", "preferred", "none"] = "none"


class ServingSpec(Spec):
    """How the model is served.

    Attributes:
        handler: The TorchServe handler, a file of the model's folder.
        code: Further files of the model's folder that the handler imports.
        input_schema: JSON Schema of one instance; requests that break it are refused by the gateway.
        label_schema: JSON Schema of a label sent as feedback.
        input_example: One instance; the smoke test of a deployment sends it.
        workers: TorchServe workers of a version.
        batch_size: The most requests in one batch.
        max_batch_delay_ms: How long a batch waits to fill, in milliseconds; TorchServe reads 0 as 100.
        timeout_seconds: A request that takes longer is answered with 504.
    """

    handler: str = "handler.py"
    code: tuple[str, ...] = ()
    input_schema: JsonSchema
    label_schema: JsonSchema
    input_example: dict[str, Any]
    workers: int = Field(default=1, ge=1)
    batch_size: int = Field(default=8, ge=1)
    max_batch_delay_ms: int = Field(default=1, ge=1)
    timeout_seconds: float = Field(default=5, gt=0)


class GateSpec(Spec):
    """The rules by which a candidate is promoted, held or rejected. Every share is in [0, 1].

    A difference that is below its limit, or surely below zero while its interval reaches below the limit,
    rejects; an interval that merely reaches below the limit holds: there are too few rows to say.

    Attributes:
        primary_metric: The metric that candidate and champion are compared by.
        minimum: Absolute thresholds by metric, for every candidate.
        first_model_minimum: Absolute thresholds for a model that has no champion to beat; they replace
            `minimum`. Without any, a first model is held: nothing says what it must reach.
        margin: How much worse than the champion a candidate may be, in units of the primary metric: the
            paired difference's lower 95 % limit must not lie below `-margin`.
        slice_margin: The same for each value of the data's `slice_by` column.
        minimum_slice_rows: Smaller slices are reported, not judged.
        minimum_test_rows: With fewer test rows the verdict is `hold`.
        minimum_gain_over_baseline: By how much the candidate must beat the simple baseline in the primary
            metric.
        latency_p95_seconds: The slowest that the 95th percentile of one request through the archive may be.
        archive_bytes: The largest archive.
    """

    primary_metric: MetricName = "accuracy"
    minimum: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    first_model_minimum: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    margin: Share = 0.01
    slice_margin: Share = 0.03
    minimum_slice_rows: Rows = 200
    minimum_test_rows: Rows = 200
    minimum_gain_over_baseline: Share = 0.0
    latency_p95_seconds: float = Field(default=0.25, gt=0, allow_inf_nan=False)
    archive_bytes: int = Field(default=500_000_000, gt=0)


class MonitorSpec(Spec):
    """When the service's traffic counts as drifted, and when that leads to a new training.

    Attributes:
        schedule: Cron expression (UTC) of the drift check.
        minimum_window_rows: A window with fewer predictions is not judged.
        maximum_rows: Window and reference are sampled down to this many rows each.
        domain_auc: Effect floor: the domain classifier's out-of-fold ROC AUC, in [0.5, 1], below which
            nothing is drift.
        false_alarm_share: How often a check of undrifted traffic may be called drift; sets the null
            distribution's quantile.
        minimum_new_rows: Rows that joined the table after the champion's snapshot, without which a retrain
            would learn nothing new.
        cooldown_seconds: How long after a retrain request the next one is refused.
        maximum_bad_share: Rows of the window that may break the suite; more is an incident, not drift.
    """

    schedule: str = "0 4 * * *"
    minimum_window_rows: Rows = 200
    maximum_rows: Rows = 2000
    domain_auc: float = Field(default=0.65, ge=0.5, le=1)
    false_alarm_share: float = Field(default=0.01, gt=0, lt=1)
    minimum_new_rows: Rows = 200
    cooldown_seconds: float = Field(default=86_400, ge=0)
    maximum_bad_share: Share = 0.1


class PipelineSpec(Spec):
    """A model's pipeline.yaml."""

    version: Literal[1]
    name: Name
    description: str
    owner: str
    data: DataSpec
    training: TrainingSpec = TrainingSpec()
    resources: ResourcesSpec = ResourcesSpec()
    serving: ServingSpec
    gate: GateSpec = GateSpec()
    monitor: MonitorSpec = MonitorSpec()

    @classmethod
    def load(cls, path: Path) -> "PipelineSpec":
        """Read and check `models/<name>/pipeline.yaml`.

        Raises:
            InvalidProject: The file cannot be read, breaks the schema, or names another model than its
                folder.
        """
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            spec = cls.model_validate(document)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InvalidProject(f"{path}: cannot be read: {error}") from error
        except ValidationError as error:
            faults = faults_of(error)
            raise InvalidProject(
                f"{path}: {'; '.join(faults)}. Correct these fields.", faults=faults
            ) from error
        if spec.name != path.parent.name:
            raise InvalidProject(
                f"{path}: name is {spec.name!r}, but the folder is {path.parent.name!r}. Make them the same."
            )
        return spec


def read_specs(models: Path) -> tuple[tuple[PipelineSpec, ...], tuple[InvalidProject, ...]]:
    """The models of the folder `models` by name, and apart
    from them what is wrong with those that cannot be used.
    """
    specs: list[PipelineSpec] = []
    faults: list[InvalidProject] = []
    for path in sorted(models.glob("*/pipeline.yaml")):
        try:
            specs.append(_agreeing(PipelineSpec.load(path), specs))
        except InvalidProject as fault:
            faults.append(fault)
    return tuple(specs), tuple(faults)


def load_specs(models: Path) -> tuple[PipelineSpec, ...]:
    """Every model of the folder `models`, by name; the first that cannot be used raises."""
    specs, faults = read_specs(models)
    if faults:
        raise faults[0]
    return specs


def _agreeing(spec: PipelineSpec, others: list[PipelineSpec]) -> PipelineSpec:
    """Two models that share a table must describe it alike."""
    for other in others:
        if other.data.table == spec.data.table and table_of(other) != table_of(spec):
            raise InvalidProject(
                f"models/{other.name} and models/{spec.name} describe the table {spec.data.table!r} "
                "differently. Give both the same key, columns and suite."
            )
    return spec


def table_of(spec: PipelineSpec) -> TableSpec:
    """The table alone, without what one model makes of it."""
    return TableSpec(
        table=spec.data.table, key=spec.data.key, columns=spec.data.columns, suite=spec.data.suite
    )
