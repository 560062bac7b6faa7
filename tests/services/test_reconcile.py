"""What was killed between an entry and its effect is carried on, and what nobody decided is undone."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Action, ReconcileRequest, Route, Settled, StepContext
from tasks.errors import LedgerBroken, PerennialError
from tasks.ledger import entries, heads, verify
from tasks.release import leftovers
from tasks.release.deploy import deploy
from tasks.release.observe import MOVED_BY, mismatches
from tasks.release.reconcile import reconcile
from tasks.release.rollback import roll_back
from tasks.release.withdraw import withdraw
from tasks.serving.gateway import Gateway
from tasks.serving.torchserve import TorchServe
from tasks.settings import settings
from tasks.stores import files, registry
from tests.services.conftest import Model, Platform, new_model
from tests.services.test_deploy import answering, loaded
from tests.services.test_withdraw import asked
from tests.unit.judged import run as trained

KILLED = 9


def killed_after(owner: Any, name: str, act: Callable[[], object]) -> None:
    """Do it in a process that is killed right after this call."""

    def process() -> None:
        original = getattr(owner, name)

        def dies(*arguments: Any, **how: Any) -> None:
            original(*arguments, **how)
            os._exit(KILLED)

        setattr(owner, name, dies)
        act()

    child = multiprocessing.get_context("fork").Process(target=process)
    child.start()
    child.join(60)
    assert child.exitcode == KILLED


def settle(model: Model) -> list[tuple[str, str]]:
    """What a reconciliation settles of the model, and that nothing is left."""
    context = StepContext(actor="tests/reconcile", step_key="reconcile", work_url="unused")
    settled: tuple[Settled, ...] = reconcile(ReconcileRequest(context=context, models=(model.name,))).settled
    left = [each for each in mismatches(registry.registered_models()) if each.model == model.name]
    assert left == []
    return [(each.outcome, each.why) for each in settled]


def outcomes(model: Model) -> list[str]:
    return [outcome for outcome, _ in settle(model)]


def ends_with(model: Model, action: Action) -> bool:
    """Whether the model's newest entry of a kind is completed."""
    newest = entries.history(model.name, {action})[-1]
    done = entries.history(model.name, {Action.DONE})
    return any(each.evidence["completes"] == newest.entry_hash for each in done)


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        (entries, "record", ["carried on"]),
        (Gateway, "put", ["carried on", "completed"]),
        (registry, "set_champion", ["completed"]),
    ],
)
def test_a_switch_that_is_killed_anywhere_is_carried_on(
    platform: Platform, steady: Model, owner: Any, name: str, expected: list[str]
) -> None:
    request = steady.request(steady.promoted("two"))

    killed_after(owner, name, lambda: deploy(request))
    assert outcomes(steady) == expected
    assert (answering(platform, steady), registry.aliased_version(steady.name)) == (
        "two",
        request.version.version,
    )
    assert ends_with(steady, Action.DEPLOY)

    killed_after(owner, name, lambda: roll_back(steady.name, "a person", "Two is rude."))
    assert outcomes(steady) == expected
    assert (answering(platform, steady), registry.aliased_version(steady.name)) == ("one", "1")
    assert ends_with(steady, Action.ROLLBACK)
    assert ends_with(steady, Action.CHAMPION)
    assert outcomes(steady) == []


def test_a_killed_decision_that_cannot_be_carried_on_is_undone_and_a_withdrawal_is_carried_on(
    platform: Platform, served: Model
) -> None:
    folder = settings().models / served.name
    kept = shutil.move(folder, folder.with_name(f".{served.name}"))
    killed_after(entries, "record", lambda: withdraw(asked(served.name)))
    shutil.move(kept, folder)
    [(outcome, why)] = settle(served)
    assert (outcome, answering(platform, served)) == ("undone", "one")
    assert "is still there" in why

    version = served.promoted("two")
    killed_after(entries, "record", lambda: deploy(served.request(version)))
    registry.client().delete_model_version(served.name, version.version)
    [(outcome, why)] = settle(served)
    assert (outcome, answering(platform, served)) == ("undone", "one")
    assert "MLflow's registry does not hold it any more" in why
    assert outcomes(served) == []

    # The same decision once more, by the same person for the same reason, is not what was undone.
    shutil.rmtree(folder)
    killed_after(Gateway, "withdraw", lambda: withdraw(asked(served.name)))
    assert outcomes(served)
    assert (Gateway().route(served.name), registry.aliased_version(served.name)) == (None, None)
    assert ends_with(served, Action.WITHDRAW)
    assert outcomes(served) == []


def test_a_route_that_nobody_decided_is_undone_and_one_that_was_lost_comes_back(
    platform: Platform, steady: Model
) -> None:
    serving = Gateway().route(steady.name)
    assert serving is not None
    intruder = Route.model_validate(serving.model_dump() | {"run_id": "nobody", "archive_sha256": "0" * 64})
    Gateway().put(intruder, "deploy")

    [(outcome, why)] = settle(steady)

    assert (outcome, Gateway().route(steady.name)) == ("undone", serving)
    assert "entry" in why
    Gateway().withdraw(steady.name)
    assert outcomes(steady) == ["undone"]
    assert answering(platform, steady) == "one"


def test_an_alias_that_a_person_moves_to_what_the_gate_passed_is_a_release_and_any_other_is_set_back(
    platform: Platform, steady: Model
) -> None:
    serving = steady.deploy("two").stable
    registry.set_champion(steady.name, "1")
    registry.tag_model(steady.name, MOVED_BY, json.dumps({"user": "ada", "version": "1"}))

    [(outcome, why)] = settle(steady)

    assert (outcome, answering(platform, steady)) == ("released", "one")
    assert why.startswith(
        f"ada changed MLflow's alias champion to version 1, but version {serving.model_version} serves."
    )
    assert entries.history(steady.name, {Action.RECONCILE, Action.DEPLOY})[-1].actor == "mlflow:ada"
    assert ends_with(steady, Action.RECONCILE)

    client = registry.client()
    unjudged = client.create_model_version(steady.name, source="x", run_id="nobodys").version
    dead = steady.promoted("x")
    with Path(dead.archive.url).open("ab") as archive:
        archive.write(b"another byte")
    for change, said in (
        (lambda: registry.set_champion(steady.name, unjudged), "it was not registered by Perennial"),
        (lambda: registry.set_champion(steady.name, dead.version), "It is not served. Train again"),
        (lambda: registry.remove_champion(steady.name), "What serves has to be named"),
    ):
        change()
        [(outcome, why)] = settle(steady)
        assert (outcome, said in why) == ("undone", True), why
        assert (answering(platform, steady), registry.aliased_version(steady.name)) == ("one", "1")
        assert not why.startswith("ada")
    assert Gateway().route(steady.name) != serving


def test_nothing_is_done_by_a_ledger_whose_end_was_cut_off(
    platform: Platform, steady: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = entries.newest()
    assert newest is not None
    heads.keep(newest.sequence + 5, "f" * 64)
    Gateway().withdraw(steady.name)
    try:
        with pytest.raises(LedgerBroken, match="end was cut off"):
            settle(steady)
        assert Gateway().route(steady.name) is None
    finally:
        files.remove(heads.place_of(newest.sequence + 5, "f" * 64))
    verify.require_whole_end()
    assert outcomes(steady) == ["undone"]


def test_what_was_left_lying_is_used_noted_or_removed(platform: Platform, steady: Model) -> None:
    """An archive that a killed deployment had loaded, a version that nobody judged, an old promotion."""
    version = steady.promoted("two")
    killed_after(TorchServe, "keep", lambda: deploy(steady.request(version)))
    registry.client().create_model_version(steady.name, source="x", run_id="nobodys")
    promotion = entries.find(version.decision_ledger_hash)
    assert promotion is not None
    context = StepContext(actor="tests/reconcile", step_key="reconcile", work_url="unused")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(leftovers, "unused_promotion", lambda *_: promotion)
        found = list(leftovers.tidy_up(steady.name, context))

    assert list(dict.fromkeys(each.outcome for each in found)) == ["undone", "noted", "removed"]
    assert "has no artifact" in found[0].why
    assert version.archive.version not in loaded(steady)
    assert list(leftovers.tidy_up(steady.name, context)) == []
    assert ends_with(steady, Action.RECONCILE)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(leftovers, "unused_promotion", lambda *_: promotion)
        patched.setattr(
            registry, "training_run", lambda run_id: trained(model=steady.name, run_id=version.run_id)
        )
        [carried_on] = leftovers.tidy_up(steady.name, context)

    assert (carried_on.outcome, answering(platform, steady)) == ("carried on", "two")


def test_a_release_that_was_handed_over_is_told_beside_what_could_not_be_settled(
    platform: Platform, served: Model, settled: Path
) -> None:
    """Told alone it begins: its alias is set back, so no later look would find it."""
    stepped = new_model(settled, release={"mode": "canary"})
    stepped.deploy("one")
    version = stepped.promoted("two").version
    registry.set_champion(stepped.name, version)
    serving = registry.get_version(served.name, "1")
    served.retire()
    Path(serving.archive.url).write_bytes(b"no archive any more")
    context = StepContext(actor="tests/reconcile", step_key="reconcile", work_url="unused")
    asked = ReconcileRequest(context=context, models=(stepped.name, served.name))

    told = reconcile(asked)

    assert [(each.outcome, each.version) for each in told.settled] == [("handed over", version)]
    assert [fault for fault in told.faults if "archive" in fault]
    with pytest.raises(PerennialError, match="archive"):
        reconcile(asked)
    stepped.remove()
