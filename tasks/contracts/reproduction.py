"""What is asked and said of a reproduction: the training of a version, run again and compared."""

from typing import Literal

from pydantic import Field

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.serving import Champion
from tasks.spec import PipelineSpec


class Surroundings(Contract):
    """Where a training ran, as far as its numbers depend on it.

    Attributes:
        python: The interpreter's version.
        libraries: The version of every installed distribution, by its normalised name.
        processor: Its architecture, name and widest vector instructions: the order of sums depends on them.
        gpu: The GPUs and their driver; None where the training asked for none, or there was none.
        threads: What a program gets that asks for no number of its own.
    """

    python: str
    libraries: dict[str, str]
    processor: str
    gpu: str | None
    threads: int


class ReproduceRequest(Request):
    """Which version is trained again.

    Attributes:
        spec: The model as the project here has it. What is trained is what the version's own commit says.
        version: Its number in MLflow's registry; None for the champion.
        champion: Which version that is, as the verb `champion` found it; None for the one that MLflow's alias
            names.
        code: `recorded` trains with the code of the version's commit; `here` with the files of this project,
            whatever their commit, which tells whether they still give the same model.
        tolerance: How far a weight, score or metric may be off to count as equivalent, relative to the
            largest magnitude of its tensor where that is above 1.
    """

    spec: PipelineSpec
    version: str | None = Field(default=None, pattern=r"^[1-9][0-9]*$")
    champion: Champion | None = None
    code: Literal["recorded", "here"] = "recorded"
    tolerance: float = Field(default=1e-4, ge=0, allow_inf_nan=False)


class Condition(Contract):
    """Something of the place or the code that is not as it was; None where it was not there or not said."""

    name: str
    recorded: str | None
    here: str | None


class TensorDifference(Contract):
    """A tensor that is not the same, bit for bit.

    Attributes:
        file: The file that training wrote.
        recorded_sha256, here_sha256: Over the tensor's bytes; None where it is not there.
        max_abs_difference: None where shapes or types differ, or one is not there.
        within_tolerance: Whether it is equivalent.
    """

    file: str
    tensor: str
    recorded_sha256: str | None
    here_sha256: str | None
    max_abs_difference: float | None
    within_tolerance: bool


class FileDifference(Contract):
    """A file that training wrote, and that holds no tensors we can read, with other bytes; None for none."""

    file: str
    recorded_sha256: str | None
    here_sha256: str | None


class MetricDifference(Contract):
    """A metric on the frozen rows that is not the same; None where it is not defined."""

    name: str
    recorded: float | None
    here: float | None
    within_tolerance: bool


class AnswerDifferences(Contract):
    """What the two archives answered to the frozen rows.

    Attributes:
        predictions: Rows whose label differs; of a regression, whose number is off by more than the
            tolerance.
        max_abs_difference: Of the scores, and of a regression's numbers; None where there is none to compare.
        same: Whether every answer is the same, bit for bit.
    """

    rows: int
    predictions: int
    max_abs_difference: float | None
    same: bool
    within_tolerance: bool


class Reproduction(Contract):
    """A training that was run again, and what came of it.

    Attributes:
        run_id: The MLflow run that was reproduced.
        reproduced_as: The MLflow run of the reproduction.
        verdict: `identical`: the same bytes; `equivalent`: every difference is within the tolerance.
        why: The verdict as a sentence.
        conditions: What is not as it was. A verdict other than `identical` may come from these.
        tensors: How many were compared.
        tensors_differing: How many differ; `largest` has the 50 that differ most.
        nondeterministic_operators: Those that torch named in the log of either training.
        rows_made_again: Whether the snapshot's files were gone and its rows were queried anew.
        ledger_hash: The entry that keeps this; None before it is recorded.
    """

    model: str
    version: str
    run_id: str
    experiment_id: str
    reproduced_as: str
    verdict: Literal["identical", "equivalent", "different"]
    why: str
    tolerance: float
    conditions: tuple[Condition, ...]
    tensors: int
    tensors_differing: int
    largest: tuple[TensorDifference, ...]
    files: tuple[FileDifference, ...]
    metrics: tuple[MetricDifference, ...]
    answers: AnswerDifferences
    nondeterministic_operators: tuple[str, ...]
    rows_made_again: bool
    report_url: str
    ledger_hash: str | None = None


class AttestRequest(Request):
    """What the ledger is to keep."""

    reproduction: Reproduction
