"""A version's model card: what is asked for it, and everything that stands in it."""

from pydantic import AwareDatetime, Field

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.evaluation import EvaluationReport
from tasks.contracts.gate import GateDecision
from tasks.contracts.provenance import Lineage
from tasks.contracts.serving import ModelVersion
from tasks.spec import CardSpec, ColumnType, PipelineSpec, Task


class EnergyAssumptions(Contract):
    """What an estimate of energy and cost rests on beside the measured seconds; the settings say it.

    Attributes:
        processor_watts, gpu_watts: What a busy core, and a GPU, is taken to draw.
        overhead: What the data centre draws for each watt of the machine (power usage effectiveness).
        carbon_grams_per_kwh: None where nobody has said what the electricity emits.
        processor_price_per_hour, gpu_price_per_hour: Of a core and of a GPU; None where nobody has said it.
        currency: Of the prices.
    """

    processor_watts: float = Field(gt=0, allow_inf_nan=False)
    gpu_watts: float = Field(gt=0, allow_inf_nan=False)
    overhead: float = Field(ge=1, allow_inf_nan=False)
    carbon_grams_per_kwh: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    processor_price_per_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    gpu_price_per_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    currency: str = ""


class TrainingSeconds(Contract):
    """What the training program took.

    Attributes:
        wall: From the beginning of its MLflow run to its end.
        processor: Of all its processes together.
        gpu: Wall seconds times GPUs; 0 where it trained on the processor.
        gpu_joules: What the GPUs drew meanwhile, as they counted it; None where it trained on the processor,
            or where none counted.
        processor_is_measured: Whether the kernel counted the processor seconds; else they are the wall
            seconds times the cores that the training might have used, which is at least what it took.
    """

    wall: float
    processor: float
    gpu: float
    processor_is_measured: bool
    gpu_joules: float | None = None


class Energy(Contract):
    """An estimate of what a training took.

    Attributes:
        carbon_grams, price: None where the assumptions do not say it.
    """

    seconds: TrainingSeconds
    assumptions: EnergyAssumptions
    kwh: float
    carbon_grams: float | None
    price: float | None


class Importance(Contract):
    """How far answers move by a column or a word, on average of `rows` rows, with its 95 % interval.

    Attributes:
        change: Of a column, at least 0; of a word with its sign, above 0 where it speaks for what the
            number means.
    """

    name: str
    change: float
    low: float
    high: float
    rows: int


class Effect(Contract):
    """How far one answer's number falls, where it is above 0, without this word or this column's value."""

    name: str
    value: str | None
    change: float


class ExplainedRow(Contract):
    """One test row: what was answered, and what moved the answer, the strongest first.

    Attributes:
        row: Its key.
        text: How it begins, where the model's only feature is a text.
        answer: The prediction; with its name, where `serving.label_schema` gives it one.
        label: What was true, in the same way; None where the row has no label.
        number: What is explained of it: a score, the probability of the answered class, or the number itself.
    """

    row: str
    text: str | None = None
    answer: str
    label: str | None = None
    number: float
    effects: tuple[Effect, ...]


class Explanations(Contract):
    """On what the answers rest, asked of the packaged archive through its handler.

    Attributes:
        method: A sentence: what was changed in the rows, and how the changes are counted.
        asked: How many instances were answered for it.
        overall: The strongest first.
        rows: Some rows one by one; empty where pipeline.yaml wants none.
    """

    method: str
    number: str
    asked: int
    overall: tuple[Importance, ...]
    rows: tuple[ExplainedRow, ...]


class Column(Contract):
    """A column of the training rows, and what the model makes of it."""

    name: str
    type: ColumnType | None
    use: str


class DecisionOf(Contract):
    """An entry of the ledger that led to the version or decided about it, without its evidence."""

    sequence: int
    at: AwareDatetime
    actor: str
    action: str
    before: str | None
    after: str | None
    why: str
    entry_hash: str


class ModelCard(Contract):
    """The card of one version.

    Attributes:
        said: What people wrote in pipeline.yaml, as it was when the card was made.
        parent: The version that served when it was judged, by its MLflow run; None for a first model.
        explanations: None where there are none; `not_explained` says why.
        energy: None where MLflow does not say how long the training took.
        decisions: Up to the moment at which it was made.
        broken_entries: Numbers of the ledger's entries that were changed or missing then; usually none.
        notes: What could not be found, and why; sentences.
    """

    model: str
    version: str
    run_id: str
    made_at: AwareDatetime
    description: str
    owner: str
    task: Task
    said: CardSpec
    columns: tuple[Column, ...]
    lineage: Lineage
    parent: str | None
    evaluation: EvaluationReport | None
    gate: GateDecision | None
    fairness_limits: dict[str, dict[str, float]] = Field(default_factory=dict)
    measured_limits: tuple[str, ...] = ()
    explanations: Explanations | None = None
    not_explained: str | None = None
    energy: Energy | None = None
    decisions: tuple[DecisionOf, ...] = ()
    broken_entries: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class DescribeRequest(Request):
    """Write the card of a version."""

    spec: PipelineSpec
    version: ModelVersion
    energy: EnergyAssumptions


class Described(Contract):
    """Where the card lies: in the artifacts of the version's MLflow run, below `card/`.

    Attributes:
        report_url: The page, in the store.
        explained: Whether the answers could be explained.
        notes: What could not be found, and why; sentences.
    """

    model: str
    version: str
    run_id: str
    report_url: str
    explained: bool
    notes: tuple[str, ...] = ()
