"""A model that was removed is served no longer, on the real TorchServe and gateway; its records stay."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Action, RetrainRequest, StepContext, Withdrawal, WithdrawRequest
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.monitoring import retrain
from tasks.release.rollback import roll_back
from tasks.release.withdraw import withdraw
from tasks.serving.gateway import Gateway
from tasks.serving.torchserve import TorchServe
from tasks.settings import settings
from tasks.stores import registry
from tests.services.conftest import Model, Platform, load_on
from tests.services.test_deploy import Death, answering, death_after, loaded

REASON = "Nobody asks it any more."


def removed(model: Model) -> WithdrawRequest:
    """The request to withdraw the model, whose folder is gone."""
    shutil.rmtree(settings().models / model.name)
    return asked(model.name)


def asked(model: str) -> WithdrawRequest:
    context = StepContext(actor="tests", step_key="withdraw", work_url="unused")
    return WithdrawRequest(context=context, model=model, reason=REASON)


def decided(model: str) -> list[tuple[Any, ...]]:
    changes = entries.history(model, {Action.WITHDRAW, Action.CHAMPION})
    return [(entry.action, entry.before, entry.after, entry.why) for entry in changes][-2:]


def test_a_removed_model_is_withdrawn_and_what_was_recorded_of_it_stays(
    platform: Platform, served: Model
) -> None:
    second = served.deploy("two")
    versions = loaded(served)

    done = withdraw(removed(served))

    assert (done.served, done.champion, set(done.unloaded)) == (second.stable, "2", versions)
    assert platform.predict(served.name, "hello").status_code == 404
    assert loaded(served) == set()
    assert not list(platform.store.glob(f"{served.name}-*"))
    assert decided(served.name) == [
        ("withdraw", "2", None, REASON),
        ("champion", "2", None, f"The model was withdrawn: {REASON}"),
    ]
    assert registry.aliased_version(served.name) is None
    assert registry.get_version(served.name, "2").run_id == second.stable.run_id
    assert [change.change for change in Gateway().history(served.name)] == ["deploy", "deploy", "withdraw"]


def test_a_model_that_comes_back_begins_anew(platform: Platform, served: Model) -> None:
    withdraw(removed(served))

    rollout = served.deploy("again")

    assert (rollout.verdict, answering(platform, served)) == ("deployed", "again")
    with pytest.raises(InvalidRequest, match="before version 2 there is none"):
        roll_back(served.name, "a person", "It was better then.")
    assert answering(platform, served) == "again"


def test_a_request_under_way_is_answered_before_the_version_is_unloaded(
    platform: Platform, served: Model
) -> None:
    with load_on(platform, served.name) as load:
        withdraw(removed(served))

    assert load.answers
    assert load.faults == []
    assert {refusal.status for refusal in load.refusals} <= {404}


def test_a_withdrawal_that_dies_anywhere_is_carried_on_from(platform: Platform, model: Model) -> None:
    folder = settings().models / model.name
    kept = shutil.copytree(folder, folder.with_name(f".{model.name}"))
    for owner, name in ((Gateway, "withdraw"), (TorchServe, "retire"), (registry, "remove_champion")):
        model.deploy(name)
        request = removed(model)
        with death_after(owner, name), pytest.raises(Death):
            withdraw(request)

        again = withdraw(request)

        assert again.served is None
        assert (loaded(model), registry.aliased_version(model.name)) == (set(), None)
        assert platform.predict(model.name, "hello").status_code == 404
        shutil.copytree(kept, folder)
    assert [entry.action for entry in entries.history(model.name)].count(Action.WITHDRAW) == 3


def test_a_model_that_is_still_there_and_one_that_never_was_are_refused(
    platform: Platform, served: Model, settled: Path
) -> None:
    with pytest.raises(InvalidRequest, match=f"{served.name} is still there, so the DAG train_{served.name}"):
        withdraw(asked(served.name))
    assert answering(platform, served) == "one"

    for refuse in (lambda: withdraw(asked("nobody")), lambda: roll_back("nobody", "a person", "Why not?")):
        with pytest.raises(InvalidRequest, match="No model 'nobody' has ever been served here"):
            refuse()


def test_a_training_that_was_granted_is_granted_no_longer(platform: Platform, served: Model) -> None:
    context = StepContext(actor="tests", step_key=f"drift_{served.name}/1/retrain", work_url="unused")
    ticket = retrain.retrain(
        RetrainRequest(context=context, spec=served.spec, decision=None, reason="By hand.")
    )
    assert ticket.granted

    done: Withdrawal = withdraw(removed(served))

    assert done.closed_requests == (ticket.train_run_id,)
    assert [each for each in retrain.open_requests() if each.model == served.name] == []
