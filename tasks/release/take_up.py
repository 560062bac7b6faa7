"""Take up a held candidate: the same model, to be judged on a newer test part."""

from tasks.contracts import TakeUpRequest, TrainingRun
from tasks.data.snapshot import sha256_of_parts
from tasks.stores import registry


def take_up(request: TakeUpRequest) -> TrainingRun:
    """The candidate's training run, with the newer test part in its snapshot.

    The rows that it was trained on stay those of its own snapshot. No newer test row is among them, because a
    row's part follows from its hash.

    Raises:
        RegistryError: The run is incomplete.
    """
    run = registry.training_run(request.held.run_id)
    own, newer = run.snapshot, request.snapshot
    parts = {"train": own.train, "validation": own.validation, "test": newer.test}
    mixed = newer.model_copy(
        update={
            **parts,
            "rows": sum(part.rows for part in parts.values()),
            "sha256": sha256_of_parts(newer.query, *parts.values()),
        }
    )
    return run.model_copy(update={"snapshot": mixed})
