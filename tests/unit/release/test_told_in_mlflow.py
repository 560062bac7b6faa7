"""MLflow's page of a version says what became of its release, by the newest that the ledger has of it."""

import pytest

from tasks.contracts import Action
from tasks.ledger import entries
from tasks.release.told_in_mlflow import release_tags

pytestmark = pytest.mark.usefixtures("home")


def write(action: Action, before: str | None, after: str, why: str, **evidence: str) -> None:
    entries.record(
        model="m",
        actor="a",
        action=action,
        before=before,
        after=after,
        why=why,
        evidence={**evidence, "of": why},
    )


def test_a_version_that_went_back_or_was_rolled_back_says_so_until_it_serves_again() -> None:
    write(Action.DEPLOY, None, "1", "The gate promoted it.")
    write(Action.RELEASE, "1", "stage", "It begins.", version="3")
    assert set(release_tags(entries.history("m"))) == {"1"}, "of what goes on nothing is said yet"
    write(Action.RELEASE, "1", "roll_back", "It is worse.", version="3")
    write(Action.DEPLOY, "1", "2", "It went through.")
    write(Action.ROLLBACK, "2", "1", "2 is rude.")

    told = release_tags(entries.history("m"))

    assert {version: said.split(",")[0] for version, said in told.items()} == {
        "1": "Serves again",
        "2": "Rolled back: it serves no more",
        "3": "Went back by itself",
    }
    assert told["3"].endswith("of the ledger): It is worse.")
    write(Action.DEPLOY, "1", "2", "It was corrected.")
    assert release_tags(entries.history("m"))["2"].startswith("Serves, or served")
