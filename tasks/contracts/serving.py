"""What is asked and said of what serves."""

from typing import Any

from pydantic import AwareDatetime, Field

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.data import SnapshotPart
from tasks.contracts.training import Archive
from tasks.spec import PipelineSpec, ServingBackendName


class ModelVersion(Contract):
    """A version of the MLflow registered model, with the archive that was judged."""

    model: str
    version: str
    run_id: str
    archive: Archive
    decision_ledger_hash: str
    tags: dict[str, str]


class Route(Contract):
    """Where the gateway sends a model's requests, and what it answers and checks with.

    Attributes:
        backend_version: The version's name in the serving backend (the archive's version).
        archive_sha256: Of the archive that serves.
        input_example: An instance to show users; the gateway checks nothing with it.
        backend: What holds the version: TorchServe, or a server that speaks the Open Inference Protocol.
        batches: Whether the version answers several instances sent as one request.
        batch_size: The most instances that are sent as one request.
        workers: How many such requests the backend works on at once.
    """

    model: str
    model_version: str
    run_id: str
    backend_version: str
    archive_sha256: str
    input_schema: dict[str, Any]
    label_schema: dict[str, Any]
    input_example: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: float
    backend: ServingBackendName = "torchserve"
    batches: bool = False
    batch_size: int = Field(default=8, ge=1)
    workers: int = Field(default=1, ge=1)


class LoadedVersion(Contract):
    """What a serving backend says of one version that it holds.

    Attributes:
        archive: The name of the archive's file in the backend's store, which carries its hash.
        workers: Processes that it is to have, of all servers that hold it.
        ready: Of these, as many as can answer now.
        waiting: Requests that it was given and has not answered.
        asleep: Nobody asked for so long that no process runs; the next request starts them.
        cold_start_seconds: How long that took the last time; None where it has not happened.
    """

    version: str
    archive: str
    workers: int
    ready: int
    waiting: int
    asleep: bool = False
    cold_start_seconds: float | None = None


class ChampionRequest(Request):
    spec: PipelineSpec


class Champion(Contract):
    """The version that a candidate has to beat.

    Attributes:
        version: The one that the gateway's route sends requests to; where it sends them nowhere, the one that
            the alias `champion` names; None where there is neither, so that a candidate is the first model.
        root: The last version, up to this one, that was shown to be better than what served before; None
            where `version` is it.
        anchor: Trusted rows that a candidate is judged on, too; None where they begin with the candidate.
        world: The test part whose rows a person called right since `version` was promoted, after the gate had
            found a label incident; None where nobody did.
        serves: Whether the gateway sends requests to it.
        warning: Where route and alias do not agree, what is wrong and what to do; a sentence.
    """

    model: str
    version: ModelVersion | None
    root: ModelVersion | None = None
    anchor: SnapshotPart | None = None
    world: SnapshotPart | None = None
    serves: bool
    warning: str | None = None


class Serving(Contract):
    """The version that the gateway sends a model's requests to, and since when."""

    model_version: str
    run_id: str
    archive_sha256: str
    since: AwareDatetime


class InEnvironment(Contract):
    """What serves of a model in an environment before production, by the ledger.

    Attributes:
        model_version: None where none serves any more.
        why: Why it does, in a sentence.
    """

    environment: str
    model_version: str | None
    archive_sha256: str | None
    since: AwareDatetime
    by: str
    why: str


class Standing(Contract):
    """What serves, why, and what is wrong with that.

    Attributes:
        serving: None where no version serves.
        why: As the ledger says; None where it says nothing of it.
        by: Who decided that this version serves.
        entry: The number of that entry of the ledger.
        faults: What is wrong; a sentence each.
        notes: What is worth knowing and not wrong; a sentence each.
        release: The release that is under way, in a sentence; None where there is none.
        environments: What serves in those before production, by the ledger; none of which nothing was
            decided.
    """

    model: str
    serving: Serving | None
    why: str | None
    by: str | None
    entry: int | None
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()
    release: str | None = None
    environments: tuple[InEnvironment, ...] = ()
