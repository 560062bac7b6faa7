"""The demo on the platform in containers: the story is told to its end, and its platform keeps serving."""

import json

import pytest

from demo.report import Report
from tasks.monitoring.door.look import MANY_ROWS
from tests.compose.conftest import EXAMPLE
from tests.compose.more_models import MODEL
from tests.compose.stack import Stack

pytestmark = pytest.mark.timeout(2400)


def test_the_story_is_told_in_containers_and_no_request_fails(story: Report) -> None:
    assert (story.complete, story.failure) == (True, None)
    assert story.requests > 0
    assert story.failed_requests == []
    assert len(story.promotions) == 2
    assert story.accuracy["new_traffic_after"] > story.accuracy["new_traffic_before"]
    assert {"gate", "deploy", "drift"} <= {decision.action for decision in story.decisions}


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
    [told] = [step for step in story.steps if "held_at_the_door" in step.facts]
    waiting = told.facts["held_at_the_door"]
    said = [*standing["faults"], *standing["notes"]]
    assert len(said) == min(waiting, 1), (waiting, said)
    assert bool(standing["faults"]) == (waiting >= MANY_ROWS), "a few are a note"
    assert all(
        each.startswith("Nobody has decided on labelled requests") and "share of known words" in each
        for each in said
    ), "the reviews in Spanish and Portuguese"
    assert verified.returncode == 0, verified.stderr
    assert len(verified.stdout.splitlines()) > len(story.decisions)


def test_a_platform_in_use_is_not_taken_for_a_second_story(stack: Stack, story: Report) -> None:
    again = stack.make("demo", ON="compose", SHORT="1")
    assert again.returncode != 0
    assert "This platform is in use" in again.stdout
