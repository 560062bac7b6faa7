"""What is asked and said of a training: the place where it will run, the run, its archive."""

from typing import Any, Literal

from pydantic import AwareDatetime, Field, FiniteFloat

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.data import DataSnapshot, ValidationReport
from tasks.spec import PipelineSpec, Task

StartedBy = Literal["manual", "calendar", "age", "code", "data", "drift", "performance", "recall"]
"""What starts a training: a person, `training.schedule`, `training.maximum_age_days`,
`training.on_code_change`, rows that joined, the drift check (by what came in, or by how the model answers it)
or a recall of rows."""


class PreflightRequest(Request):
    spec: PipelineSpec


class PreflightReport(Contract):
    """Where the training will run, and that it can.

    Attributes:
        device: What the model will train on.
        gpu: The GPU's name and memory, as its driver says; None without one.
        why: Why that device, as a sentence; where no GPU is visible, the reason.
        code_commit, image_digest: Of the environment that the steps run in; None where there is none.
        memory_mib: The limit of memory of the step; None where there is none.
    """

    model: str
    device: Literal["cuda", "cpu"]
    gpu: str | None
    why: str
    code_commit: str | None
    image_digest: str | None
    memory_mib: int | None


class TrainRequest(Request):
    """`parameters`: values for MLproject's parameters; those left out take its defaults.

    `reason`: why this run. `started_by`: what started it; None in requests of an earlier Perennial.
    """

    spec: PipelineSpec
    snapshot: DataSnapshot
    validation: ValidationReport
    parameters: dict[str, str | int | float] = Field(default_factory=dict)
    reason: str = "asked for by hand"
    started_by: StartedBy | None = None


class Curve(Contract):
    """The values of a metric while a training runs.

    Attributes:
        points: Steps and values, in their order; of a long curve some of each stretch, and always the newest.
        not_a_number_at: The first step at which the value was NaN or infinite; None where all are numbers.
    """

    name: str = Field(max_length=250)
    points: tuple[tuple[FiniteFloat, FiniteFloat], ...] = Field(max_length=200)
    not_a_number_at: FiniteFloat | None = None


class TrainingCurves(Contract):
    """How far a training is, and its curves: bounded, since it comes from beside a team's own program.

    Attributes:
        run_id: Its MLflow run.
        at: When it was looked at.
        ended_at: None while the program runs, and where the step was killed with it.
        unit, done, total: So much of what there is to do; None where the training does not say it.
        seconds_left: At most about so long from `at` on; None where there is no pace yet.
    """

    run_id: str = Field(max_length=64)
    begun_at: AwareDatetime
    at: AwareDatetime
    ended_at: AwareDatetime | None = None
    unit: Literal["epoch", "step"] | None = None
    done: FiniteFloat | None = None
    total: FiniteFloat | None = None
    seconds_left: FiniteFloat | None = None
    curves: tuple[Curve, ...] = Field(default=(), max_length=6)


class TrainedFor(Contract):
    """What a model was trained to answer, and from what.

    Attributes:
        features: In the order of their names.
    """

    task: Task
    label: str
    features: tuple[str, ...]

    @classmethod
    def of(cls, spec: PipelineSpec) -> "TrainedFor":
        return cls(task=spec.task, label=spec.data.label, features=tuple(sorted(spec.data.features)))


class TrainingRun(Contract):
    """One training and everything that it came from.

    Attributes:
        model_files_url: The folder of files that training wrote for serving (weights, vocabulary, ...).
        code_commit: The project's Git commit, with `+dirty` where the tree had changes; None outside Git.
        image_digest: The container image of the step; None where it ran as a process.
        lock_sha256: The hash of the environment's lock file.
        trained_for: None in a record of before this was kept.
    """

    model: str
    run_id: str
    experiment_id: str
    code_commit: str | None
    image_digest: str | None
    lock_sha256: str
    parameters: dict[str, str]
    seed: int
    snapshot: DataSnapshot
    model_files_url: str
    trained_for: TrainedFor | None = None


class PackageRequest(Request):
    spec: PipelineSpec
    run: TrainingRun


class Archive(Contract):
    """A TorchServe model archive.

    Attributes:
        version: The version inside its manifest: the MLflow run id.
        example_prediction: What its handler answers to `input_example`; the smoke test of a deployment
            expects the same.
        input_example: The specification's, when the archive was made; None in the records of an earlier
            Perennial.
        batches: Whether its handler answers a list of instances sent as one request; an archive of an earlier
            Perennial takes one instance at a time.
    """

    model: str
    version: str
    run_id: str
    url: str
    sha256: str
    size_bytes: int
    example_prediction: dict[str, Any]
    input_example: dict[str, Any] | None = None
    batches: bool = False
