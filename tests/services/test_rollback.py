"""What goes back, what stays, and what never comes back by accident: on the real TorchServe and gateway."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import RollbackRequest, Route, StepContext, WithdrawRequest
from tasks.errors import DeletedInMlflow, GateRefused, ServingError
from tasks.ledger import entries
from tasks.release.deploy import deploy
from tasks.release.rollback import roll_back, rollback
from tasks.release.withdraw import withdraw
from tasks.serving.gateway import Gateway
from tasks.serving.torchserve import torchserve
from tasks.settings import settings
from tasks.stores import registry
from tests.services.conftest import HANDLER, Model, Platform


def answering(platform: Platform, model: Model) -> str:
    return str(platform.predict(model.name, "hello").json()["predictions"][0]["prediction"])


def decided(model: Model) -> list[tuple[str, str | None, str | None]]:
    """The changes of what serves, as the ledger tells them."""
    switches = {"deploy", "rollback", "withdraw"}
    history = entries.history(model.name)
    return [(entry.action, entry.before, entry.after) for entry in history if entry.action in switches]


def until_there_is(flag: Path) -> str:
    """A handler that answers its example as it was judged until the file is there."""
    wrong = f"""if os.path.exists({str(flag)!r}) and text == "example":
            return {{{{"prediction": "something else", "score": 0.007}}}}
        if text == "refuse":"""
    return HANDLER.replace('if text == "refuse":', wrong)


@contextmanager
def put_at_the_switch(flag: Path) -> Iterator[None]:
    """Lets the file be there as soon as the gateway has switched."""
    genuine = Gateway.put

    def put(gateway: Gateway, route: Route, change: Any) -> None:
        genuine(gateway, route, change)
        flag.touch()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Gateway, "put", put)
        yield
    flag.unlink()


def test_a_rollback_to_what_does_not_answer_is_undone(
    platform: Platform, model: Model, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    deploy(model.request(model.promoted("one", handler=until_there_is(flag))))
    model.deploy("two")

    with put_at_the_switch(flag), pytest.raises(ServingError, match="answers otherwise than it should"):
        roll_back(model.name, "a person", "Two is rude.")

    assert answering(platform, model) == "two"
    assert registry.aliased_version(model.name) == "2"
    assert decided(model)[-2:] == [("rollback", "2", "1"), ("rollback", "1", "2")]
    roll_back(model.name, "another person", "Two is rude.")
    assert answering(platform, model) == "one"


def test_a_first_version_that_does_not_answer_through_the_gateway_is_not_left_there(
    platform: Platform, model: Model, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    request = model.request(model.promoted("one", handler=until_there_is(flag)))

    with put_at_the_switch(flag), pytest.raises(ServingError, match="answers otherwise than it should"):
        deploy(request)

    assert Gateway().route(model.name) is None
    assert decided(model) == [("deploy", None, "1"), ("rollback", "1", None)]
    assert deploy(request).verdict == "deployed", "the step may be tried again"
    assert answering(platform, model) == "one"


def test_the_retry_of_a_deployment_does_not_undo_a_persons_rollback(
    platform: Platform, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: str) -> None:
        raise ConnectionError("MLflow is away.")

    model.deploy("one")
    request = model.request(model.promoted("two"))
    with monkeypatch.context() as patched:
        patched.setattr(registry, "set_champion", away)
        with pytest.raises(ConnectionError):
            deploy(request)
    assert answering(platform, model) == "two"
    roll_back(model.name, "a person", "Two answers nonsense.", leaving="2")

    with pytest.raises(
        GateRefused, match=r"a person left it \(entry \d+ of the ledger, rollback\): Two answers"
    ):
        deploy(request)

    assert answering(platform, model) == "one"


def test_a_withdrawn_model_does_not_come_back_by_an_old_deployment(platform: Platform, model: Model) -> None:
    request = model.request(model.promoted("one"))
    deploy(request)
    shutil.rmtree(settings().models / model.name)
    context = StepContext(actor="a person", step_key="withdraw", work_url="unused")
    withdraw(WithdrawRequest(model=model.name, reason="The law.", context=context))

    for aliased in (False, True):
        if aliased:
            registry.set_champion(model.name, "1")
        with pytest.raises(GateRefused, match=r"withdraw\): The law\. Start a new training"):
            deploy(request)

    assert platform.predict(model.name, "hello").status_code == 404
    registry.remove_champion(model.name)


def register_again(model: Model, run_id: str, tags: dict[str, str]) -> None:
    client = registry.client()
    if not client.search_registered_models(f"name = '{model.name}'"):
        client.create_registered_model(model.name)
    client.create_model_version(model.name, source="again", run_id=run_id, tags=tags)


def test_a_rollback_goes_to_the_run_that_served_whatever_number_its_version_has_by_now(
    platform: Platform, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    first = model.promoted("one")
    deploy(model.request(first))
    two = model.promoted("two")
    deploy(model.request(two))
    registry.client().delete_registered_model(model.name)

    with pytest.raises(DeletedInMlflow, match=f"of the MLflow run {first.run_id}, but MLflow's registry"):
        roll_back(model.name, "a person", "Two is rude.")
    assert "the registered model or that version was deleted" in capsys.readouterr().out
    assert answering(platform, model) == "two"

    for version in (two, first):
        register_again(model, version.run_id, version.tags)
    back = roll_back(model.name, "a person", "Two is rude.")

    assert answering(platform, model) == "one"
    assert (back.stable.run_id, back.stable.model_version) == (first.run_id, "2")
    assert registry.aliased_version(model.name) == "2"


def test_a_version_is_asked_what_it_was_asked_when_it_was_judged(platform: Platform, model: Model) -> None:
    """The example in pipeline.yaml may be another by now."""
    model.deploy("one")
    two = model.deploy("two").stable
    torchserve().retire(model.name, {two.backend_version})
    serving = model.spec.serving.model_copy(update={"input_example": {"text": "a longer example"}})
    changed = model.spec.model_copy(update={"serving": serving})
    path = settings().models / model.name / "pipeline.yaml"
    path.write_text(changed.model_dump_json(exclude={"behaviour"}), encoding="utf-8")

    roll_back(model.name, "a person", "Two is rude.")

    assert answering(platform, model) == "one"


def test_a_version_whose_tags_were_changed_by_hand_takes_nothing_down(
    platform: Platform, model: Model
) -> None:
    one = model.promoted("one")
    deploy(model.request(one))
    two = model.promoted("two")
    altered = two.archive.model_copy(update={"version": one.archive.version})
    registry.client().set_model_version_tag(
        model.name, two.version, registry.ARCHIVE, altered.model_dump_json()
    )

    with pytest.raises(GateRefused, match="that entry is about another archive"):
        deploy(model.request(registry.get_version(model.name, two.version)))

    assert answering(platform, model) == "one"


def test_a_rollback_whose_step_is_tried_again_goes_back_once(
    platform: Platform, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: str) -> None:
        raise ConnectionError("MLflow is away.")

    for mark in ("one", "two", "three"):
        model.deploy(mark)
    context = StepContext(actor="airflow", step_key="rollback_model/1/rollback", work_url="unused")
    request = RollbackRequest(model=model.name, reason="Three is rude.", leaving="3", context=context)
    with monkeypatch.context() as patched:
        patched.setattr(registry, "set_champion", away)
        with pytest.raises(ConnectionError):
            rollback(request)

    again, cleared = rollback(request), rollback(request)

    assert (again.stable.model_version, cleared.stable.model_version) == ("2", "2")
    assert answering(platform, model) == "two"
    assert registry.aliased_version(model.name) == "2"
    assert [change for change in decided(model) if change[0] == "rollback"] == [("rollback", "3", "2")]
