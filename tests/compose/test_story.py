"""The demo on the platform in containers: its first model is trained, and its platform keeps serving."""

import json

import pytest

from demo.report import Report
from tests.compose.conftest import EXAMPLE, FIRST_MODEL
from tests.compose.more_models import MODEL
from tests.compose.stack import Stack

pytestmark = pytest.mark.timeout(1500)


def test_the_story_is_told_in_containers_and_no_request_fails(story: Report) -> None:
    assert (story.complete, story.failure) == (True, None)
    assert story.requests > 0
    assert story.failed_requests == []
    assert len(story.promotions) == 1
    assert story.accuracy["imdb_test_first_champion"] > 0.8
    assert {"gate", "deploy"} <= {decision.action for decision in story.decisions}


def test_the_memory_of_all_containers_is_in_the_report(story: Report) -> None:
    assert story.containers_peak_mib
    assert story.platform_peak_pss_mib is None


def test_a_platform_that_the_demo_did_not_start_stays_and_serves_what_it_trained(
    stack: Stack, story: Report
) -> None:
    stack.wait_healthy(timeout_seconds=60)
    assert stack.predict(MODEL, EXAMPLE).json()["run_id"] == story.promotions[-1].run_id


def test_a_person_at_a_shell_asks_what_serves_with_nothing_but_docker(stack: Stack, story: Report) -> None:
    asked, verified = stack.perennial("status", MODEL, "--json"), stack.perennial("ledger", "--verify")
    assert asked.returncode in {0, 3}, asked.stderr
    [standing] = json.loads(asked.stdout)["models"]
    assert standing["serving"]["run_id"] == story.promotions[-1].run_id
    assert standing["why"]
    assert [*standing["faults"], *standing["notes"]] == []
    assert verified.returncode == 0, verified.stderr
    assert len(verified.stdout.splitlines()) > len(story.decisions)


def test_a_platform_in_use_is_not_taken_for_a_second_story(stack: Stack, story: Report) -> None:
    again = stack.make("demo", **FIRST_MODEL)
    assert again.returncode != 0
    assert "This platform is in use" in again.stdout
