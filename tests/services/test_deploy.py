"""Deployments on the real TorchServe and the real gateway:
nothing fails, nothing unjudged serves, a crash is survived.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Action, DeployRequest, Rollout, Route
from tasks.errors import ArchiveMismatch, GateRefused, InvalidRequest, ServingError
from tasks.ledger import entries
from tasks.release.deploy import deploy
from tasks.release.differences import differences
from tasks.release.rollback import roll_back
from tasks.release.switch import find_previous_route
from tasks.serving.backend import serving_backend
from tasks.serving.champion import find_champion
from tasks.serving.gateway import Gateway, RouteChange
from tasks.serving.torchserve import TorchServe, torchserve
from tasks.serving.torchserve_api import ManagementApi
from tasks.stores import registry
from tests.services.conftest import (
    HANDLER,
    Load,
    Model,
    Platform,
    build_archive,
    load_on,
    new_model,
    promote,
)

IMPORT_ERROR = "import a_module_that_is_nowhere\n" + HANDLER


def answering(platform: Platform, model: Model) -> str:
    answer = platform.predict(model.name, "hello")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["predictions"][0]["prediction"])


def loaded(model: Model) -> set[str]:
    return {entry["modelVersion"] for entry in torchserve()._api.versions(model.name)}


@dataclass(frozen=True)
class Released:
    """A model of which three versions were deployed, the second and the third under constant load."""

    model: Model
    load: Load
    requests: dict[str, DeployRequest]
    rollouts: dict[str, Rollout]


@pytest.fixture(scope="module")
def released(services: Platform, settled: Path) -> Iterator[Released]:
    """Version `three` serves; the tests follow each other, and the last of them rolls back."""
    model = new_model(settled, timeout_seconds=30)
    requests = {"one": model.request(model.promoted("one"))}
    rollouts = {"one": deploy(requests["one"])}
    with load_on(services, model.name) as load:
        for mark in ("two", "three"):
            requests[mark] = model.request(model.promoted(mark))
            rollouts[mark] = deploy(requests[mark])
    yield Released(model, load, requests, rollouts)
    model.remove()


def test_two_deployments_under_constant_load_fail_no_request(platform: Platform, released: Released) -> None:
    load, model = released.load, released.model
    second, third = released.rollouts["two"], released.rollouts["three"]
    assert (load.refusals, load.faults) == ([], [])
    assert load.runs[-2:] == [second.stable.run_id, third.stable.run_id]
    assert len(load.runs) == 3
    assert loaded(model) == {second.stable.backend_version, third.stable.backend_version}
    assert third.previous == second.stable
    assert len(list(platform.store.glob(f"{model.name}-*"))) == 4  # two archives, each with its record


def test_a_deployment_moves_the_alias_and_writes_the_ledger_first(released: Released) -> None:
    name = released.model.name
    champion = registry.champion(name)
    assert champion is not None
    assert champion.version == released.rollouts["three"].stable.model_version
    history = entries.history(name)
    recorded = [
        (entry.action, entry.before, entry.after) for entry in history if entry.action not in {"gate", "done"}
    ]
    assert recorded == [
        (action, before, after)
        for before, after in ((None, "1"), ("1", "2"), ("2", "3"))
        for action in ("deploy", "champion")
    ]
    assert entries.broken_entries() == []


def test_a_deployment_that_is_run_again_does_nothing(released: Released) -> None:
    name = released.model.name
    recorded, routed = entries.history(name), Gateway().history(name)
    assert deploy(released.requests["three"]).verdict == "already_serving"
    assert (entries.history(name), Gateway().history(name)) == (recorded, routed)
    assert len(routed) == 3


def test_a_deployment_of_long_ago_that_is_cleared_does_not_bring_its_version_back(
    platform: Platform, released: Released
) -> None:
    with pytest.raises(GateRefused, match="comes back only by a rollback"):
        deploy(released.requests["two"])

    assert answering(platform, released.model) == "three"


def test_a_rollback_goes_to_the_version_that_truly_served_before(
    platform: Platform, released: Released
) -> None:
    model = released.model
    with load_on(platform, model.name) as load:
        back = roll_back(model.name, "a person", "Version three is rude.")
    assert (load.refusals, load.faults) == ([], [])
    assert (back.verdict, back.previous) == ("rolled_back", released.rollouts["three"].stable)
    assert answering(platform, model) == "two"
    champion = registry.champion(model.name)
    assert champion is not None
    assert champion.version == "2"
    assert entries.history(model.name, {Action.ROLLBACK})[-1].why == "Version three is rude."
    # Version one was removed from TorchServe when three came; it has to be loaded again from its archive.
    archive = Path(registry.get_version(model.name, "1").archive.url)
    archive.rename(archive.with_suffix(".away"))
    with pytest.raises(OSError, match=archive.parent.name):
        roll_back(model.name, "a person", "Two is no better.")
    assert answering(platform, model) == "two"
    archive.with_suffix(".away").rename(archive)
    roll_back(model.name, "a person", "Two is no better.")
    assert answering(platform, model) == "one"
    with pytest.raises(InvalidRequest, match="version 2 was to be left, but version 1 serves"):
        roll_back(model.name, "a person", "Two is rude.", leaving="2")
    with pytest.raises(InvalidRequest, match="nothing to roll"):
        roll_back(model.name, "a person", "Once more.")


class Death(BaseException):
    """Ends a deployment as SIGKILL would: nothing of ours catches it."""


@contextmanager
def death_after(owner: Any, name: str) -> Iterator[None]:
    """Let the deployment in the block die right after this call."""

    def dies(*arguments: Any, **how: Any) -> None:
        original(*arguments, **how)
        raise Death

    original = getattr(owner, name)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, name, dies)
        yield


def test_a_deployment_that_dies_anywhere_is_carried_on_from(platform: Platform, served: Model) -> None:
    # In a deployment's order; what comes before a call is what came after the one before it.
    calls = [
        (ManagementApi, "register"),
        (TorchServe, "keep"),
        (entries, "record"),
        (Gateway, "put"),
    ]
    for number, (owner, name) in enumerate([*calls, (registry, "set_champion")]):
        served_mark, mark = f"v{number - 1}" if number else "one", f"v{number}"
        request = served.request(served.promoted(mark))
        with death_after(owner, name), pytest.raises(Death):
            deploy(request)
        assert answering(platform, served) in {served_mark, mark}
        rollout = deploy(request)
        champion = registry.champion(served.name)
        assert champion is not None
        assert (answering(platform, served), champion.run_id) == (mark, rollout.stable.run_id)
        assert rollout.previous is not None
        assert loaded(served) == {rollout.stable.backend_version, rollout.previous.backend_version}
        assert [entry.action for entry in entries.history(served.name)].count("deploy") == number + 2


def test_of_two_deployments_at_once_one_serves_and_the_other_is_refused(
    platform: Platform, served: Model
) -> None:
    """Both were judged against the version that served before either of them."""
    requests = {mark: served.request(served.promoted(mark)) for mark in ("two", "three")}
    with ThreadPoolExecutor() as threads:
        asked = {mark: threads.submit(deploy, request) for mark, request in requests.items()}
    refused = {mark: each.exception() for mark, each in asked.items() if each.exception()}

    assert [type(error) for error in refused.values()] == [GateRefused]
    assert answering(platform, served) in set(requests) - set(refused)
    route = Gateway().route(served.name)
    assert route is not None
    assert serving_backend(route.backend).ready(served.name, route.backend_version, route.archive_sha256)


def test_an_alias_that_a_person_changed_is_told_and_what_serves_counts(
    platform: Platform, served: Model
) -> None:
    changes = {
        "is not there": lambda: registry.client().delete_registered_model_alias(served.name, registry.ALIAS),
        "names version 1": lambda: registry.set_champion(served.name, "1"),
    }
    serving = served.deploy("two").stable
    for said, change in changes.items():
        change()

        found = find_champion(served.name)

        assert found.serves
        assert found.version is not None
        assert found.version.run_id == serving.run_id
        assert found.warning is not None
        assert said in found.warning
        serving = served.deploy(f"after it {said}").stable
        assert find_champion(served.name).warning is None


def test_the_champion_comes_back_where_the_gateway_has_lost_its_route(
    platform: Platform, served: Model
) -> None:
    request = served.request(served.promoted("two"))
    deploy(request)
    Gateway().withdraw(served.name)

    assert deploy(request).verdict == "deployed"
    assert answering(platform, served) == "two"


def test_a_model_that_is_no_longer_routed_is_not_a_first_model(platform: Platform, served: Model) -> None:
    Gateway().withdraw(served.name)

    found = find_champion(served.name)

    assert (found.serves, found.version is None) == (False, False)
    assert "the gateway serves no version" in str(found.warning)


def test_an_archive_whose_handler_cannot_be_imported_leaves_the_old_version_serving(
    platform: Platform, steady: Model
) -> None:
    before = loaded(steady)
    with (
        load_on(platform, steady.name) as load,
        pytest.raises(ServingError, match="a_module_that_is_nowhere"),
    ):
        steady.deploy("two", handler=IMPORT_ERROR)
    assert (load.refusals, load.faults) == ([], [])
    assert len(load.runs) == 1
    assert loaded(steady) == before
    assert len(list(platform.store.glob(f"{steady.name}-*"))) == 2


def test_a_version_that_answers_otherwise_than_it_was_judged_is_not_served(
    platform: Platform, steady: Model
) -> None:
    archive = build_archive(steady.folder, steady.name, "two")
    judged = archive.model_copy(update={"example_prediction": {"prediction": "other", "score": 0.007}})
    version = promote(steady.spec, judged)
    with pytest.raises(ServingError, match="prediction is 'two' instead of 'other'"):
        deploy(steady.request(version))
    assert answering(platform, steady) == "one"
    assert len(loaded(steady)) == 1


def test_an_archive_that_was_changed_after_the_gate_is_refused(platform: Platform, steady: Model) -> None:
    version = steady.promoted("two")
    with Path(version.archive.url).open("ab") as file:
        file.write(b"one byte more")
    with pytest.raises(ArchiveMismatch, match="is not served") as refused:
        deploy(steady.request(version))
    assert refused.value.exit_code == 10
    assert len(loaded(steady)) == 1


@pytest.mark.parametrize("change", ["no entry", "another archive", "held"])
def test_what_the_gate_did_not_promote_is_never_served(platform: Platform, model: Model, change: str) -> None:
    version = model.promoted("one")
    if change == "no entry":
        version = version.model_copy(update={"decision_ledger_hash": "0" * 64})
    elif change == "another archive":
        version = version.model_copy(update={"archive": model.promoted("two").archive})
    else:
        held = entries.record(
            model=model.name,
            actor="tests",
            action=Action.GATE,
            before=None,
            after="hold",
            why="A test.",
            evidence={"decision": {}},
        )
        version = version.model_copy(update={"decision_ledger_hash": held.entry_hash})
    with pytest.raises(GateRefused, match="Only the train DAG's gate promotes"):
        deploy(model.request(version))
    assert platform.predict(model.name, "hello").status_code == 404


# --- the pure decisions -------------------------------------------------------------------------------------


def change(number: int, kind: str, version: str | None) -> RouteChange:
    return RouteChange.model_validate(
        {
            "sequence": number,
            "change": kind,
            "at": "2026-01-01T00:00:00Z",
            "route": route_to(version) if version else None,
        }
    )


def route_to(version: str) -> Route:
    return Route(
        model="m",
        model_version=version,
        run_id=version,
        backend_version=version,
        archive_sha256=version,
        input_schema={},
        label_schema={},
        timeout_seconds=1,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], None),
        (["deploy a"], None),
        (["deploy a", "deploy b"], "a"),
        (["deploy a", "deploy b", "rollback a"], None),
        (["deploy a", "deploy b", "deploy c", "rollback b"], "a"),
        (["deploy a", "deploy b", "rollback a", "deploy c"], "a"),
        (["deploy a", "deploy b", "deploy b"], "a"),
        (["deploy a", "deploy b", "deploy a"], "b"),
        (["deploy a", "withdraw", "deploy b"], None),
        (["deploy a", "deploy b", "withdraw", "deploy c", "deploy d"], "c"),
    ],
)
def test_what_was_rolled_back_from_is_never_rolled_back_to(changes: list[str], expected: str | None) -> None:
    history = [change(number, *each.partition(" ")[::2]) for number, each in enumerate(changes)]  # type: ignore[arg-type]
    before = find_previous_route(history)
    assert (before.model_version if before else None) == expected


def test_an_answer_may_differ_in_the_last_digits_of_its_score_only() -> None:
    assert (
        differences(
            {"prediction": 1, "score": 0.5}, {"prediction": 1, "score": 0.5004, "archive_version": "x"}
        )
        == []
    )
    assert differences({"prediction": 1, "score": 0.5}, {"prediction": 0, "score": 0.6}) == [
        "prediction is 0 instead of 1",
        "score is 0.6 instead of 0.5",
    ]
    assert differences({"score": 0.5}, {}) == ["score is None instead of 0.5"]


def test_the_probabilities_of_classes_may_differ_in_the_last_digits_only() -> None:
    expected = {"prediction": "wasp", "scores": {"bee": 0.25, "wasp": 0.75}}

    assert differences(expected, expected | {"scores": {"bee": 0.2504, "wasp": 0.7496}}) == []
    for scores in ({"bee": 0.35, "wasp": 0.65}, {"bee": 0.25}, {"bee": 0.25, "wasp": 0.75, "fly": 0.0}, None):
        assert differences(expected, expected | {"scores": scores}) == [
            f"scores is {scores} instead of {expected['scores']}"
        ]


@pytest.mark.parametrize("unit", [1e-4, 1, 1e6])
def test_a_predicted_number_may_differ_by_a_share_of_itself(unit: float) -> None:
    expected = {"prediction": 12.5 * unit, "score": None}

    assert differences(expected, {"prediction": 12.51 * unit, "score": None}) == []
    assert differences(expected, {"prediction": 12.6 * unit, "score": None}) != []
    assert differences({"prediction": 12.0}, {"prediction": 12}) == []
    assert differences({"prediction": 2e-9}, {"prediction": 3e-9}) == []
