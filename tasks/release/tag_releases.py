"""Let MLflow's page of a version say what became of its release: the ledger knows; nothing rests on this."""

from tasks.contracts import Action
from tasks.ledger import entries
from tasks.release.told_in_mlflow import TAG, release_tags
from tasks.stores import registry

TOLD = frozenset({Action.RELEASE, Action.DEPLOY, Action.ROLLBACK})


def tag_releases(model: str) -> list[str]:
    """Set the tag of each version of which the ledger says otherwise by now; their numbers."""
    wanted, changed = release_tags(entries.history(model, TOLD)), []
    for number, tags in registry.versions_by_number(model).items():
        if number in wanted and tags.get(TAG) != wanted[number]:
            registry.client().set_model_version_tag(model, number, TAG, wanted[number])
            changed.append(number)
    return changed


def try_to_tag_releases(model: str) -> None:
    """The same where something else was done that MLflow is not needed for: the hourly look does it else."""
    try:
        tag_releases(model)
    except Exception as error:  # noqa: BLE001 - what was done has taken effect, with MLflow or without it
        print(f"MLflow's pages of {model} do not say yet what became of the release: {error}", flush=True)
