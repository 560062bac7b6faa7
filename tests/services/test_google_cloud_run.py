"""A model's Cloud Run service: planned, opened, asked, judged, led to and back.

There is no Google here: Cloud Run and Secret Manager are a stand-in behind Google's own clients
(`cloud_run.py`), and its tokens come from the emulator (`gcs.py`). The ledger, the registry, the gateway and
the servers that the revisions run are real ones.
"""

# ruff: noqa: F811 - fixtures are imported by their names

import grpc
import pytest
from google.api_core.exceptions import Aborted

from plugins.cloud_run.ask import Revision, identity_token
from plugins.cloud_run.operators import MoveTraffic
from plugins.cloud_run.service import CloudRunService
from plugins.failures import StepInvalid, StepRefused
from tasks.errors import CheckFailed, InvalidRequest
from tests.services.cloud_run import URI, CloudRun
from tests.services.conftest import Model
from tests.services.guarded import OWNER, guarded, key, private_key  # noqa: F401 - fixtures
from tests.services.on_cloud_run import (  # noqa: F401 - fixtures
    REGISTRY,
    Serve,
    brought,
    closed,
    cloud,
    image_of,
    judged,
    moved,
    opened,
    planned,
    reviews,
    serve,
    told,
)
from tests.services.serving_images import trained  # noqa: F401 - a fixture


def test_the_first_version_makes_the_service_and_serves_by_its_name(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    number = serve("one")
    on_cloud = brought(reviews, "first")
    assert on_cloud.model_version == number
    assert cloud.serving == {on_cloud.revision: 100}
    assert all(each.revision == on_cloud.revision for each in cloud.service_.traffic), (
        "not by being the latest"
    )
    container = cloud.revisions[on_cloud.revision].containers[0]
    assert container.image == image_of(reviews, number)
    assert container.startup_probe.http_get.path == "/v2/health/ready"
    assert container.env[0].value_source.secret_key_ref.secret == "token"
    assert told(reviews) == ["revision", "serves"]


def test_no_request_goes_to_a_new_revision_before_the_ledger_says_so(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    serve("one")
    first = brought(reviews, "first")
    serve("two")
    plan = planned(reviews, "second")
    seen = opened(plan)
    assert seen.answer is not None
    assert seen.answer["prediction"] == "two"
    assert cloud.serving == {first.revision: 100}
    assert told(reviews)[-1] == "revision"
    decision = judged(plan, seen)
    assert told(reviews)[-1] == "serves"
    assert cloud.serving == {first.revision: 100}
    shares = moved(decision)
    assert shares == cloud.serving == {plan.revision: 100}
    assert cloud.tags == {}
    assert closed(decision, shares).revision == plan.revision


def test_a_service_that_sends_everything_to_the_latest_is_held_at_what_serves(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    """As a person leaves it who deploys by the console."""
    serve("one")
    plan = planned(reviews, "first")
    opened(plan)
    assert [each.revision for each in cloud.service_.traffic] == [""]
    serve("two")
    opened(planned(reviews, "second"))
    assert cloud.serving == {plan.revision: 100}


def test_a_revision_that_does_not_start_gets_nothing_and_another_try_has_another_name(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    serve("one")
    first = brought(reviews, "first")
    number = serve("two")
    image = image_of(reviews, number)
    cloud.failing[image] = f"Image '{image}' not found."
    with pytest.raises(
        CheckFailed, match=rf"not ready: Image .* not found.*goes on serving: {first.revision}: 100 %"
    ):
        brought(reviews, "second")
    assert cloud.serving == {first.revision: 100}
    assert told(reviews)[-1] == "left"
    cloud.failing.clear()
    again = brought(reviews, "third")
    assert again.revision.endswith("-2")
    assert cloud.serving == {again.revision: 100}


def test_a_revision_that_answers_otherwise_gets_nothing_and_loses_its_address(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    serve("one")
    first = brought(reviews, "first")
    serve("two")
    plan = planned(reviews, "second")
    seen = opened(plan).model_copy(update={"answer": {"prediction": "three", "score": 0.007}})
    decision = judged(plan, seen)
    assert decision.verdict == "stay"
    assert "prediction is 'three' instead of 'two'" in decision.why
    assert cloud.tags == {"candidate": ""}
    shares = moved(decision)
    assert (shares, cloud.tags) == ({first.revision: 100}, {})
    with pytest.raises(CheckFailed, match="answers its example otherwise"):
        closed(decision, shares)


def test_a_revision_that_is_ready_and_silent_gets_nothing(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    serve("one")
    brought(reviews, "first")
    number = serve("two")
    cloud.addresses[number] = "http://127.0.0.1:9"
    plan = planned(reviews, "second")
    decision = judged(plan, opened(plan))
    assert decision.verdict == "stay"
    assert "does not answer its example: The inference server does not answer" in decision.why


def test_a_revision_that_takes_too_long_gets_nothing(reviews: Model, cloud: CloudRun, serve: Serve) -> None:
    serve("one")
    cloud.looks = 10**6
    plan = planned(reviews, "first").model_copy(update={"ready_seconds": 0.2})
    seen = opened(plan)
    assert seen.state == "late"
    assert judged(plan, seen).verdict == "stay"


def test_the_service_goes_back_to_what_it_had_without_a_new_revision(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    serve("one")
    first = brought(reviews, "first")
    serve("two")
    second = brought(reviews, "second")
    made = set(cloud.revisions)
    back = brought(reviews, "back", to="previous")
    assert back.revision == first.revision
    assert cloud.serving == {first.revision: 100}
    assert set(cloud.revisions) == made
    with pytest.raises(InvalidRequest, match="nothing to go back to on Cloud Run"):
        planned(reviews, "back again", to="previous")
    assert brought(reviews, "forward").revision == second.revision


def test_after_a_rollback_in_production_the_service_follows_it(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    from tasks.release.rollback import roll_back

    serve("one")
    first = brought(reviews, "first")
    serve("two")
    brought(reviews, "second")
    roll_back(reviews.name, "tests", "It is worse.")
    assert brought(reviews, "third").revision == first.revision
    with pytest.raises(InvalidRequest, match="nothing to go back to"):
        planned(reviews, "fourth", to="previous")


def test_what_production_leaves_while_the_revision_starts_gets_nothing(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    from tasks.release.rollback import roll_back

    serve("one")
    first = brought(reviews, "first")
    serve("two")
    plan = planned(reviews, "second")
    seen = opened(plan)
    roll_back(reviews.name, "tests", "It is worse.")
    decision = judged(plan, seen)
    assert decision.verdict == "stay"
    assert moved(decision) == {first.revision: 100}
    again = planned(reviews, "second")
    assert again.revision == first.revision, "the run, cleared, plans for what serves by now"


def test_every_task_may_be_tried_again_and_changes_nothing_more(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    serve("one")
    brought(reviews, "first")
    serve("two")
    plan = planned(reviews, "second")
    assert planned(reviews, "second") == plan
    seen = opened(plan)
    changes = cloud.changes
    assert opened(plan) == seen
    assert cloud.changes == changes
    decision = judged(plan, seen)
    assert judged(plan, seen) == decision
    assert moved(decision) == moved(decision) == {plan.revision: 100}
    assert closed(decision, cloud.serving) == closed(decision, cloud.serving)
    assert told(reviews) == ["revision", "serves"] * 2


def test_a_decision_that_a_later_one_has_overtaken_moves_nothing(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    serve("one")
    brought(reviews, "first")
    serve("two")
    plan = planned(reviews, "second")
    slow = judged(plan, opened(plan))
    serve("three")
    third = brought(reviews, "third")
    with pytest.raises(StepRefused, match="a later decision, entry"):
        MoveTraffic(task_id="move_traffic", decision=slow.model_dump(mode="json")).execute({})
    assert cloud.serving == {third.revision: 100}


def test_a_service_that_somebody_changed_meanwhile_is_read_again_before_it_is_changed(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    serve("one")
    plan = planned(reviews, "first")
    opened(plan)
    service = CloudRunService(plan)
    before = service.read()
    cloud.somebody_changes_it()
    with pytest.raises(Aborted, match="Conflict"):
        service.move(before, to_plan=True)


def test_an_account_that_may_not_is_told_what_it_needs(reviews: Model, cloud: CloudRun, serve: Serve) -> None:
    serve("one")
    cloud.denied = grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(StepInvalid, match=r"'run.services.update' denied.*roles/run.developer"):
        opened(planned(reviews, "first"))


def test_a_version_without_a_pushed_image_is_told_how_to_get_one(
    reviews: Model, cloud: CloudRun, serve: Serve
) -> None:
    number = serve("one", pushed=False)
    with pytest.raises(
        InvalidRequest, match=rf"make image MODEL={reviews.name} VERSION={number} REGISTRY=regis"
    ):
        planned(reviews, "first")
    assert told(reviews) == []


def test_nothing_that_does_not_serve_in_production_comes_to_cloud_run(reviews: Model) -> None:
    with pytest.raises(InvalidRequest, match=r"No version of .* serves in production"):
        planned(reviews, "first")


def test_a_revision_is_asked_with_an_identity_for_the_service_and_with_our_token(
    cloud: CloudRun, reviews: Model, serve: Serve
) -> None:
    import google.auth.jwt

    serve("one")
    hook = CloudRunService(planned(reviews, "first")).hook
    identity = identity_token(hook.get_credentials(), URI)
    assert identity is not None
    claims = google.auth.jwt.decode(identity, verify=False)
    assert (claims["target_audience"], claims["iss"]) == (URI, OWNER)
    assert Revision("http://nowhere", "ours", identity).headers("inference") == {
        "Authorization": "Bearer ours",
        "X-Serverless-Authorization": f"Bearer {identity}",
    }
