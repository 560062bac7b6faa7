"""The errors of the steps: a sentence to the person who
must act, and the exit code that tells Airflow what to do.

A check that said no is final (`EXIT_REFUSED`): Airflow fails the task without a retry. A request, a setting
or a file of the project that is wrong is final too (`EXIT_INVALID`). So is a step that finds nothing to do
(`EXIT_NOTHING`), which skips a run that nobody asked for. Everything else may pass by itself and is retried.
"""

from typing import Any

EXIT_FAULT = 1
EXIT_REFUSED = 10
EXIT_INVALID = 20
EXIT_NOTHING = 30


class PerennialError(Exception):
    """Any failure that Perennial explains.

    Args:
        message: What was found, where, what was expected, and what to do.
        evidence: What the message rests on; JSON values. It is written to the step's error file.
    """

    exit_code = EXIT_FAULT

    def __init__(self, message: str, **evidence: Any) -> None:
        super().__init__(message)
        self.evidence = evidence


class InvalidProject(PerennialError):
    """A file of the project (pipeline.yaml, MLproject, a suite, requirements.txt) is
    wrong; raised when it is read.
    """

    exit_code = EXIT_INVALID


class InvalidSettings(PerennialError):
    """A variable of the environment or of .env has a value that its setting does
    not take; raised when the settings are read.
    """

    exit_code = EXIT_INVALID


class InvalidRequest(PerennialError):
    """A step was asked for something that its contract does not allow; raised before it starts."""

    exit_code = EXIT_INVALID


class NotFound(PerennialError):
    """Nothing has the name that was asked about, or several things have; raised by why, lineage and recall,
    which say where they looked.
    """

    exit_code = EXIT_INVALID


class LimitReached(PerennialError):
    """A step needed more than its limit of memory or scratch,
    which the next try would have too; raised by the step itself.
    """

    exit_code = EXIT_INVALID


class MachineFull(PerennialError):
    """A machine has no memory or no room left; another try may find some."""


class NothingToDo(PerennialError):
    """There is no reason to go on yet: no rows to train on, or no model to
    watch. Raised by count and drift.
    """

    exit_code = EXIT_NOTHING


class CheckFailed(PerennialError):
    """A check said no. Trying again would say no again."""

    exit_code = EXIT_REFUSED


class DataRejected(CheckFailed):
    """Data broke its expectations; raised by ingest, snapshot and validate."""


class FrozenSetMismatch(CheckFailed):
    """Two models were scored on different rows; raised by the gate."""


class GateRefused(CheckFailed):
    """Something that the gate did not promote was to be registered or deployed."""


class LedgerBroken(CheckFailed):
    """Somebody altered the ledger, so that nothing can be recorded; raised by whoever records a decision."""


class ArchiveMismatch(CheckFailed):
    """An archive's sha256 is not the one that was evaluated; raised before it is served."""


class WrongCode(CheckFailed):
    """A step's image was built from another commit than its run's;
    raised by preflight and train, before anything is spent.
    """


class NotReproducible(CheckFailed):
    """A training cannot be run again as it was: its code, its rows or its records are gone;
    raised by reproduce.
    """


class GpuMissing(CheckFailed):
    """A model requires a GPU, and the step sees none; raised by preflight."""


class ServiceAway(PerennialError):
    """A service that the run will need does not answer; raised by preflight and recall."""


class DatabaseAway(ServiceAway):
    """The platform's own database does not answer, or not to this user; raised by who opens it."""


class LakeError(PerennialError):
    """A table, a version or a time that the lake does not hold."""

    exit_code = EXIT_INVALID


class InvalidQuery(LakeError):
    """SQL over the lake that is wrong, is not one SELECT, or reaches for something that it was not given."""


class RegistryError(PerennialError):
    """MLflow's registry lacks something that Perennial
    wrote, or holds what it did not; raised by who reads it.
    """


class DeletedInMlflow(CheckFailed):
    """Somebody deleted in MLflow what a training or what serves rests on;
    raised by preflight, train, and whoever asks for the champion.
    """


class MlflowRefused(PerennialError):
    """MLflow answers, but not to this user, or has not what it is asked for; raised by who asks."""

    exit_code = EXIT_INVALID


class TrainingFailed(PerennialError):
    """The model's own training program ended with an error; raised by train."""


class ProgramBroken(TrainingFailed):
    """It ended as it would each time, with the same rows and the same seed; raised by train."""

    exit_code = EXIT_INVALID


class ServingError(PerennialError):
    """The serving backend or the gateway did not do what it was asked; raised by deploy and collect."""


class NotLoaded(ServingError):
    """A serving backend does not know the model or the version."""


class Unreachable(ServingError):
    """A serving backend does not answer, or not yet with its tokens on disk; it may be back in a moment."""


class StoreRefused(PerennialError):
    """The object store answers, but not to these credentials,
    this bucket or this request; raised by who reaches for it.
    """

    exit_code = EXIT_INVALID


class StoreUnreachable(PerennialError):
    """The object store does not answer, or not well; it may do so later. Raised by who reaches for it."""
