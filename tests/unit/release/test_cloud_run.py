"""Whether the traffic of a Cloud Run service moves, and what it goes back to, of plain data alone."""

from typing import Any

import pytest

from tasks.contracts import Action, CloudRunPlan, CloudRunSeen, LedgerEntry
from tasks.release.cloud_run.decide import decide
from tasks.release.cloud_run.history import newest, served, tries
from tasks.release.cloud_run.template import revision_of, template_of
from tasks.spec.cloud_run import CloudRunSpec
from tests.unit.release.test_states import Told

SERVICE = "projects/p/locations/r/services/s"
RULES = CloudRunSpec(
    project="our-project",
    region="europe-west1",
    service="s",
    registry="registry.example.org/t",
    token_secret="t",
)
PLAN = CloudRunPlan(
    model="m",
    to="production",
    service=SERVICE,
    ingress="INGRESS_TRAFFIC_ALL",
    revision="s-v2-1",
    base="s-v2-1",
    template={},
    image="registry.example.org/t/m@sha256:1",
    run_id="r",
    model_version="2",
    version="v",
    archive_sha256="1",
    example={"text": "good"},
    expected={"prediction": "positive", "score": 0.9},
    secret="projects/p/secrets/t/versions/1",
    timeout_seconds=5,
    ready_seconds=60,
    why="It serves in production.",
)
SEEN = CloudRunSeen(
    state="ready", said="", answer={"prediction": "positive", "score": 0.9004}, serving={"s-v1-1": 100}
)


class OnService(Told):
    """A ledger of Cloud Run in the making."""

    def says(self, after: str, revision: str, *, done: bool = True, service: str = SERVICE) -> LedgerEntry:
        plan = {"service": service, "revision": revision, "base": revision.partition("-again")[0]}
        entry = self.add(Action.CLOUD_RUN, None, after, plan=plan)
        if done:
            self.done(entry)
        return entry

    def names(self) -> list[str]:
        return [each.evidence["plan"]["revision"] for each in served(self.entries, SERVICE)]


def test_a_revision_that_is_ready_and_answers_as_it_was_judged_gets_the_traffic() -> None:
    verdict, why = decide(PLAN, SEEN, "1")
    assert verdict == "move"
    assert "answers as it was judged. It serves in production." in why


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "failed", "said": "Image not found."}, "is not ready: Image not found."),
        ({"state": "late", "said": "Pulling."}, "is not ready: Pulling."),
        ({"answer": None, "fault": "HTTP 403"}, "does not answer its example: HTTP 403"),
        (
            {"answer": {"prediction": "negative", "score": 0.9}},
            "prediction is 'negative' instead of 'positive'",
        ),
        ({"answer": {"prediction": "positive", "score": 0.5}}, "score is 0.5 instead of 0.9"),
        ({"answer": {}}, "prediction is None"),
    ],
)
def test_any_other_leaves_the_traffic_where_it_is(changes: dict[str, Any], said: str) -> None:
    verdict, why = decide(PLAN, SEEN.model_copy(update=changes), "1")
    assert verdict == "stay"
    assert said in why


@pytest.mark.parametrize("in_production", ["2", None])
def test_what_production_has_left_meanwhile_gets_nothing(in_production: str | None) -> None:
    verdict, why = decide(PLAN, SEEN, in_production)
    assert verdict == "stay"
    assert "something else does by now" in why
    back = PLAN.model_copy(update={"to": "previous"})
    assert decide(back, SEEN, in_production)[0] == "move"


def test_what_was_decided_and_not_carried_out_has_not_served() -> None:
    told = OnService()
    told.says("serves", "one")
    told.says("serves", "two", done=False)
    told.says("left", "three")
    assert told.names() == ["one"]


def test_what_was_left_by_going_back_is_nothing_to_go_back_to() -> None:
    told = OnService()
    for revision in ("one", "two", "three", "two"):
        told.says("serves", revision)
    assert told.names() == ["one", "two"]
    told.says("serves", "three")
    assert told.names() == ["one", "two", "three"]


def test_another_service_of_the_model_has_a_history_of_its_own() -> None:
    told = OnService()
    told.says("serves", "one", service=f"{SERVICE}2")
    assert told.names() == []
    assert newest(told.entries, SERVICE) is None


def test_the_newest_decision_counts_whether_it_was_carried_out_or_not() -> None:
    told = OnService()
    told.says("serves", "one")
    told.says("revision", "two")
    left = told.says("left", "two", done=False)
    assert newest(told.entries, SERVICE) == left


def test_tries_of_one_name_are_counted() -> None:
    told = OnService()
    told.says("left", "one")
    told.says("left", "one-again")
    told.says("left", "two")
    assert tries(told.entries, SERVICE, "one") == 2


def test_a_revision_has_another_name_where_it_runs_otherwise_and_else_the_same() -> None:
    def name(rules: CloudRunSpec, version: str = "2", image: str = "a@sha256:1") -> str:
        return revision_of("s", version, template_of(rules, "m", version, image, 5))

    one = name(RULES)
    assert name(RULES) == one
    assert one.startswith("s-v2-")
    more = RULES.model_copy(update={"memory": "2Gi"})
    assert len({one, name(more), name(RULES, version="3"), name(RULES, image="a@sha256:2")}) == 4


def test_the_longest_names_fit_into_what_cloud_run_takes() -> None:
    assert len(f"{revision_of('s' * 40, '999999', {})}-99") <= 63
