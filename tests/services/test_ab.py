"""A comparison of two versions on the real TorchServe and gateway, from its start to its end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.contracts import AcceptRequest, Action, ReconcileRequest, RollbackRequest
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.release.ab import Wanted, start_ab
from tasks.release.ab_record import comparison_of
from tasks.release.ab_under_way import split_of_comparison
from tasks.release.accept import accept
from tasks.release.reconcile import reconcile
from tasks.release.rollback import rollback
from tasks.serving.gateway import Gateway
from tests.services.conftest import Model, Platform, load_on, new_model
from tests.services.test_release import RULES, SAME, context, runs

__all__ = ["runs"]


@pytest.fixture
def compared(platform: Platform, settled: Path) -> Iterator[Model]:
    """A model whose first version serves and whose second answers half of the requests."""
    model = new_model(settled, release=RULES)
    model.deploy(SAME)
    version = model.promoted(SAME)
    start_ab(model.spec, Wanted(version.version, 0.5, 100), "tests", "Which is better?")
    yield model
    model.remove()


def told(model: Model) -> list[str | None]:
    return [each.after for each in entries.history(model.name, {Action.AB})]


def test_both_versions_answer_no_request_fails_and_the_reconciliation_leaves_it_alone(
    platform: Platform, compared: Model
) -> None:
    comparison = comparison_of(compared.name)
    assert comparison is not None
    with load_on(platform, compared.name) as load:
        reconcile(ReconcileRequest(context=context("look"), models=(compared.name,), thorough=True))
    outcomes = Gateway().outcomes(compared.name, comparison.opened_at)

    assert (load.faults, load.refusals) == ([], [])
    assert {each.role for each in outcomes.versions if each.answered} == {"stable", "candidate"}
    assert Gateway().split(compared.name) == split_of_comparison(comparison)
    assert told(compared) == ["started"]


def test_one_that_the_gateway_has_lost_is_carried_on(platform: Platform, compared: Model) -> None:
    Gateway().close_split(compared.name)
    reconcile(ReconcileRequest(context=context("look"), models=(compared.name,)))

    split = Gateway().split(compared.name)
    assert split is not None
    assert split.kind == "ab"


def test_neither_a_release_nor_another_comparison_begins_beside_it(
    platform: Platform, compared: Model
) -> None:
    version = compared.promoted(SAME)
    with pytest.raises(InvalidRequest, match="perennial ab stop"):
        accept(AcceptRequest(spec=compared.spec, version=version.version, context=context("accept")))
    with pytest.raises(InvalidRequest, match="perennial ab stop"):
        start_ab(compared.spec, Wanted(version.version, 0.5, 100), "tests", "Another one.")


def test_a_rollback_ends_it_alone_however_often_its_step_is_tried(
    platform: Platform, compared: Model
) -> None:
    asked = RollbackRequest(model=compared.name, reason="It is rude.", leaving=None, context=context("back"))
    first, again = rollback(asked), rollback(asked)

    assert (first.verdict, again.verdict) == ("kept_previous", "kept_previous")
    assert first.stable.model_version == again.stable.model_version == "1"
    assert Gateway().split(compared.name) is None
    assert told(compared) == ["started", "stopped"]
