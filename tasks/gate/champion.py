"""Find what a candidate is judged against: the version that serves, its root, and the anchor."""

from tasks.contracts import Champion, ChampionRequest, ModelVersion, SnapshotPart
from tasks.errors import DeletedInMlflow
from tasks.gate.standing import Standing, standing
from tasks.serving.champion import tell_champion
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tasks.stores.database import engine


def champion(request: ChampionRequest) -> Champion:
    """The model's champion now, with what the ledger says of it; the gate looks at that once more.

    Raises:
        ServingError: The gateway does not answer.
        DeletedInMlflow: The registry does not hold the version that serves any more, or the root.
    """
    return with_standing(tell_champion(request.spec.name), request.spec)


def with_standing(found: Champion, spec: PipelineSpec) -> Champion:
    """A champion with its root and its anchor, by the ledger.

    Raises:
        DeletedInMlflow: The registry does not hold the root any more.
    """
    if found.version is None:
        return found
    with engine().connect() as connection:
        known = standing(connection, spec.name, found.version.run_id)
    return found.model_copy(
        update={
            "root": _root(found.version, spec, known),
            "anchor": None if known.world else known.anchor or _own_test_rows(found.version),
            "world": known.world,
        }
    )


def _own_test_rows(version: ModelVersion) -> SnapshotPart:
    """The anchor of a champion that an earlier Perennial promoted."""
    return registry.training_run(version.run_id).snapshot.test


def _root(version: ModelVersion, spec: PipelineSpec, known: Standing) -> ModelVersion | None:
    """The version that was shown to be better last; None where it is the champion itself, and where the
    policy does not ask for it.
    """
    if spec.gate.policy == "superiority" or known.root_run_id == version.run_id:
        return None
    found = registry.find_version(spec.name, known.root_run_id)
    if found is None:
        raise DeletedInMlflow(
            f"Version {version.version} of {spec.name} serves, and candidates may not be worse than the "
            f"version of the MLflow run {known.root_run_id} by more than a margin, but MLflow's registry "
            "does not hold that version any more. Bring back a backup of MLflow's database, or set "
            "gate.policy to superiority until a candidate is better than what serves.",
            run_id=known.root_run_id,
        )
    return found
