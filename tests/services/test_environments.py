"""Environments on the real TorchServe, gateway and MLflow: one archive goes from dev to production."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tasks.contracts import (
    AcceptRequest,
    Action,
    EnterRequest,
    ModelVersion,
    OpenStageRequest,
    Passage,
    PromoteRequest,
    ReconcileRequest,
    RollbackRequest,
    WithdrawRequest,
)
from tasks.errors import CheckFailed, GateRefused, InvalidRequest, ServingError
from tasks.ledger import entries
from tasks.release import in_environment
from tasks.release.ab import Wanted, start_ab
from tasks.release.accept import accept
from tasks.release.enter import enter
from tasks.release.observe import mismatches
from tasks.release.open_stage import open_stage
from tasks.release.promote import promote
from tasks.release.reconcile import reconcile
from tasks.release.record import release_of
from tasks.release.rollback import rollback
from tasks.release.standing import standing
from tasks.release.withdraw import withdraw
from tasks.serving.backend import serving_backend
from tasks.serving.environments import gateway_of
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.stores import registry
from tests.services.conftest import HANDLER, Model, Platform, new_model
from tests.services.test_release import context, runs

__all__ = ["runs"]

ACCEPTANCE = {"rows": 0, "requests": 4, "connections": 2, "seconds": 5}
STRICT = {"rows": 0, "requests": 2, "p95_seconds": 1.0}
RULES = {"environments": ["dev", {"name": "staging", "acceptance": STRICT}], "acceptance": ACCEPTANCE}


@pytest.fixture
def model(platform: Platform, settled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """A model that passes through dev and staging, of which nothing serves anywhere."""
    monkeypatch.setenv("PERENNIAL_RELEASE_ENVIRONMENTS", "dev,staging")
    settings.cache_clear()
    made = new_model(settled, release=RULES)
    yield made
    for environment in ("dev", "staging"):
        gateway_of(environment).withdraw(made.name)
    made.remove()
    monkeypatch.undo()
    settings.cache_clear()


def entered(model: Model, version: ModelVersion, environment: str, step: str = "enter") -> Passage:
    step = f"{step} {version.version} {environment}"
    return enter(
        EnterRequest(spec=model.spec, environment=environment, version=version.version, context=context(step))
    )


def released(model: Model, version: ModelVersion) -> None:
    asked: dict[str, Any] = {"spec": model.spec, "context": context(f"release {version.version}")}
    acceptance = accept(AcceptRequest(**asked, version=version.version))
    promote(PromoteRequest(**asked, acceptance=acceptance))


def serving(model: Model, environment: str) -> str | None:
    route = gateway_of(environment).route(model.name)
    return route.model_version if route else None


def everywhere(model: Model) -> list[str | None]:
    return [serving(model, environment) for environment in ("dev", "staging", "production")]


def aliases(model: Model) -> list[str | None]:
    return [registry.aliased_version(model.name, alias) for alias in ("dev", "staging", "champion")]


def rolled_back(model: Model, environment: str) -> str:
    asked = {"model": model.name, "reason": "It is rude.", "leaving": None, "environment": environment}
    return rollback(RollbackRequest(**asked, context=context("rollback"))).stable.model_version


def reconciled(model: Model) -> list[str]:
    asked = ReconcileRequest(models=(model.name,), context=context("reconcile"))
    return [each.outcome for each in reconcile(asked).settled]


def differing(model: Model) -> list[str]:
    found = mismatches(registry.registered_models())
    return [each.kind for each in found if each.model == model.name]


def test_the_same_archive_goes_from_dev_to_production_and_each_place_is_entered_in_its_turn(
    platform: Platform, model: Model
) -> None:
    version = model.promoted("one")
    passages = [entered(model, version, environment) for environment in ("dev", "staging")]
    assert everywhere(model) == ["1", "1", None]
    assert aliases(model) == ["1", "1", None]

    released(model, version)

    assert everywhere(model) == ["1", "1", "1"]
    assert aliases(model) == ["1", "1", "1"]
    route = Gateway().route(model.name)
    assert route is not None
    sha256 = version.archive.sha256
    assert {each.route.archive_sha256 for each in passages} | {route.archive_sha256} == {sha256}
    told = entries.history(model.name, {Action.ENVIRONMENT, Action.DEPLOY})
    assert [(each.action, each.evidence.get("environment")) for each in told] == [
        ("environment", "dev"),
        ("environment", "staging"),
        ("deploy", None),
    ]
    assert [each.environment for each in standing(model.name).environments] == ["dev", "staging"]
    answer = requests.post(
        f"{platform.gateway_url}/staging/v1/models/{model.name}/predict",
        json={"instances": [model.spec.serving.input_example]},
        timeout=30,
    )
    assert answer.json()["model_version"] == "1"


def test_a_version_that_skips_an_environment_is_refused_with_the_name_of_what_is_missing(
    model: Model,
) -> None:
    version = model.promoted("one")
    with pytest.raises(GateRefused, match="has not passed through dev"):
        entered(model, version, "staging")
    entered(model, version, "dev")
    with pytest.raises(GateRefused, match="has not passed through staging"):
        released(model, version)
    with pytest.raises(InvalidRequest, match=r"This platform has no environment 'qa'.* belongs in \.env"):
        entered(model, version, "qa")
    rules = model.spec.release.model_copy(update={"environments": model.spec.release.environments[:1]})
    only_dev = replace(model, spec=model.spec.model_copy(update={"release": rules}))
    with pytest.raises(InvalidRequest, match="does not pass through 'staging'"):
        entered(only_dev, version, "staging")
    assert everywhere(model) == ["1", None, None]


def test_what_a_version_has_to_show_is_each_environment_s_own(model: Model) -> None:
    slow = HANDLER.replace('if text == "refuse":', 'time.sleep(1.05)\n        if text == "refuse":')
    quick, version = model.promoted("one"), model.promoted("two", handler=slow)
    for environment in ("dev", "staging"):
        entered(model, quick, environment)
    entered(model, version, "dev")

    with pytest.raises(CheckFailed, match="Under load"):
        entered(model, version, "staging")

    assert everywhere(model) == ["2", "1", None]
    assert entries.history(model.name, {Action.ENVIRONMENT})[-1].after == "refused"
    backend = serving_backend("torchserve")
    assert backend.ready(model.name, version.archive.version, version.archive.sha256), "dev serves it still"
    assert differing(model) == []


def test_an_environment_that_a_version_has_passed_is_not_entered_again(model: Model) -> None:
    version = model.promoted("one")
    first, again = entered(model, version, "dev"), entered(model, version, "dev", "again")

    assert (first.verdict, again.verdict) == ("entered", "already_there")
    assert first.ledger_hash == again.ledger_hash
    assert len(entries.history(model.name, {Action.ENVIRONMENT})) == 1


def test_what_was_rolled_back_in_staging_does_not_come_to_production(model: Model) -> None:
    first, second = model.promoted("one"), model.promoted("two")
    for version in (first, second):
        for environment in ("dev", "staging"):
            entered(model, version, environment)

    assert rolled_back(model, "staging") == "1"
    assert rolled_back(model, "staging") == "1", "the same step goes back once"
    told = [each.after for each in entries.history(model.name, {Action.ENVIRONMENT})]
    assert told == ["entered"] * 4 + ["rolled_back"]

    assert everywhere(model) == ["2", "1", None]
    assert aliases(model) == ["2", "1", None]
    with pytest.raises(GateRefused, match="has not passed through staging"):
        released(model, second)
    released(model, first)
    assert serving(model, "production") == "1"


def test_the_first_version_of_an_environment_is_withdrawn_there_where_it_is_bad(model: Model) -> None:
    version = model.promoted("one")
    for environment in ("dev", "staging"):
        entered(model, version, environment)
    asked = {"model": model.name, "reason": "It is rude.", "leaving": "1", "environment": "staging"}
    request = RollbackRequest(**asked, context=context("rollback"))

    first, again = rollback(request), rollback(request)

    assert (first.verdict, first.stable, again.verdict) == ("withdrawn", None, "withdrawn")
    assert (everywhere(model), aliases(model)) == (["1", None, None], ["1", None, None])
    told = entries.history(model.name, {Action.ENVIRONMENT})
    assert [each.after for each in told] == ["entered", "entered", "withdrawn"], "the same step decides once"
    assert (told[-1].before, told[-1].why) == ("1", "It is rude.")
    assert differing(model) == []
    with pytest.raises(GateRefused, match="has not passed through staging"):
        released(model, version)
    entered(model, version, "staging", "again")
    released(model, version)
    assert everywhere(model) == ["1", "1", "1"]


def released_through_dev(model: Model, **rules: Any) -> dict[str, Any]:
    """Version 1 serves; what the steps of the release of version 2 are asked, once it is accepted."""
    release = type(model.spec.release).model_validate({**RULES, "environments": ["dev"], **rules})
    through_dev = replace(model, spec=model.spec.model_copy(update={"release": release}))
    for version in (first := model.promoted("one"), model.promoted("two")):
        entered(through_dev, version, "dev")
    released(through_dev, first)
    asked: dict[str, Any] = {"spec": through_dev.spec, "context": context("release 2")}
    return asked | {"acceptance": accept(AcceptRequest(**asked, version="2"))}


def test_what_is_rolled_back_in_dev_during_its_release_does_not_come_to_production(model: Model) -> None:
    asked = released_through_dev(model)
    rolled_back(model, "dev")

    with pytest.raises(GateRefused, match=r"Version 2 of .* has not passed through dev"):
        promote(PromoteRequest(**asked))

    assert serving(model, "production") == "1"
    assert release_of(model.name) is None


def test_what_is_rolled_back_in_dev_during_a_stage_comes_to_no_other_stage(model: Model) -> None:
    asked = released_through_dev(model, mode="canary", steps=[0.3, 1.0])
    open_stage(OpenStageRequest(**asked, stage="canary_30"))
    rolled_back(model, "dev")

    with pytest.raises(GateRefused, match=r"Version 2 of .* has not passed through dev"):
        open_stage(OpenStageRequest(**asked, stage="canary_100"))

    assert Gateway().split(model.name) is None
    assert release_of(model.name) is None


def test_a_comparison_in_production_asks_nothing_that_has_not_passed(model: Model) -> None:
    first, second = model.promoted("one"), model.promoted("two")
    for environment in ("dev", "staging"):
        entered(model, first, environment)
    released(model, first)
    entered(model, second, "dev")

    with pytest.raises(GateRefused, match="has not passed through staging"):
        start_ab(model.spec, Wanted("2", 0.5, 100), "tests", "Which is better?")

    assert Gateway().split(model.name) is None
    assert entries.history(model.name, {Action.AB}) == []


def test_production_s_deployments_leave_loaded_what_an_environment_serves(model: Model) -> None:
    versions = [model.promoted(mark) for mark in ("one", "two", "three", "four")]
    for environment in ("dev", "staging"):
        entered(model, versions[0], environment)
    for version in versions:
        if version is not versions[0]:
            entered(model, version, "dev")
        model_serves(model, version)

    backend, first = serving_backend("torchserve"), versions[0].archive
    assert backend.ready(model.name, first.version, first.sha256)
    assert serving(model, "staging") == "1"
    second = versions[1].archive
    assert not backend.ready(model.name, second.version, second.sha256), "nobody serves or goes back to it"


def model_serves(model: Model, version: ModelVersion) -> None:
    """Deploy to production as the train DAG does, past the release by steps."""
    from tasks.release.deploy import release

    release(model.request(version), "A test says so.")


def test_what_was_changed_past_the_ledger_is_seen_and_set_back(model: Model) -> None:
    version = model.promoted("one")
    entered(model, version, "dev")
    assert (differing(model), reconciled(model)) == ([], [])

    gateway_of("dev").withdraw(model.name)
    assert differing(model) == ["environment"]
    assert reconciled(model) == ["carried on"]
    assert serving(model, "dev") == "1"

    registry.remove_alias(model.name, "dev")
    assert differing(model) == ["environment"]
    assert reconciled(model) == ["carried on"]
    assert (aliases(model), differing(model)) == (["1", None, None], [])


def test_what_was_killed_on_its_way_in_has_passed_only_where_it_answers_there(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = model.promoted("one"), model.promoted("two")
    entered(model, first, "dev")
    with monkeypatch.context() as killed:
        killed.setattr(in_environment, "confirmed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            entered(model, second, "dev")
    assert serving(model, "dev") == "2"
    serving_backend("torchserve").retire(model.name, {first.archive.version})
    monkeypatch.setattr("tasks.serving.gateway.RETRIES", 1)  # nothing will answer

    with pytest.raises(ServingError):
        reconciled(model)

    assert (serving(model, "dev"), differing(model)) == ("1", [])
    with pytest.raises(GateRefused, match="has not passed through dev"):
        entered(model, second, "staging")


def test_a_withdrawn_model_serves_in_no_environment(model: Model, settled: Path) -> None:
    version = model.promoted("one")
    for environment in ("dev", "staging"):
        entered(model, version, environment)
    released(model, version)
    (settled / "models" / model.name / "pipeline.yaml").unlink()

    withdraw(WithdrawRequest(model=model.name, reason="It goes.", context=context("withdraw")))

    assert everywhere(model) == [None, None, None]
    assert aliases(model) == [None, None, None]
    assert serving_backend("torchserve").describe(model.name) == []
