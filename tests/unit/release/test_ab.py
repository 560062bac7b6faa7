"""A comparison on a real gateway and a real ledger: what is counted, what ends it, what it keeps away."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from tasks.contracts import Action, Comparison, Mismatch, Route, StepContext, TrafficSplit
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.release.ab import Wanted, report_ab, start_ab, stop_ab
from tasks.release.ab_compare import replayed
from tasks.release.ab_record import comparison_of, record_ab
from tasks.release.ab_settle import settle_comparison
from tasks.release.ab_under_way import split_of_comparison
from tasks.release.close import close_release
from tasks.release.record import require_alone
from tasks.serving import gateway as steps
from tasks.settings import settings
from tests.unit.gateway import models
from tests.unit.gateway.processes import Gateway, running
from tests.unit.reviews import SPEC

M = SPEC.model_copy(update={"name": "m"})
CONTEXT = StepContext(actor="tests", step_key="dag/run/reconcile/-1", work_url="unused")


@pytest.fixture
def gateway(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """Version 1 serves; it says 1, and version 2 says 2."""
    with (
        models.serving() as versions,
        running(versions, home, f"sqlite:///{home / 'gateway.db'}", workers=1) as made,
    ):
        versions.add("1", 1)
        versions.add("2", 2)
        monkeypatch.setenv("PERENNIAL_GATEWAY_URL", made.url)
        monkeypatch.setenv("PERENNIAL_GATEWAY_TOKEN", models.STEPS["Authorization"].removeprefix("Bearer "))
        settings.cache_clear()
        made.put(models.route("1"))
        yield made


def compared(labels: int = 100) -> Comparison:
    """A comparison as `start_ab` opens it, of versions that no training made."""
    comparison = Comparison(
        comparison_id="ab-m-2-x",
        model="m",
        share=0.5,
        labels=labels,
        opened_at=datetime.now(UTC),
        stable=Route.model_validate(models.route("1")),
        candidate=Route.model_validate(models.route("2")),
    )
    record_ab(comparison, "tests", "started", "A test asks.")
    steps.Gateway().open_split(split_of_comparison(comparison))
    return comparison


def labelled(gateway: Gateway, count: int, label: int = 2) -> None:
    """So many requests by anyone, and what was true of each."""
    told = []
    for _ in range(count):
        answer = gateway.predict().json()
        told += [{"prediction_id": each["prediction_id"], "label": label} for each in answer["predictions"]]
    sent = requests.post(f"{gateway.url}/v1/models/m/feedback", json={"feedback": told}, timeout=30)
    assert sent.ok, sent.text


def test_the_better_version_is_named_once_the_labels_are_there_and_later_ones_change_nothing(
    gateway: Gateway,
) -> None:
    compared()
    labelled(gateway, 60)
    early = report_ab(M, "tests")
    assert (early.reached, early.labelled, early.better) == (False, 60, None)

    labelled(gateway, 60)
    report = report_ab(M, "tests")
    assert (report.reached, report.labelled, report.better) == (True, 100, "2")
    labelled(gateway, 100, label=1)
    assert report_ab(M, "tests") == report

    (entry,) = [each for each in entries.history("m", {Action.AB}) if each.after == "reported"]
    assert replayed(entry) == report


def test_a_person_stops_it_and_nothing_is_said_of_what_did_not_reach_its_number(gateway: Gateway) -> None:
    compared()
    labelled(gateway, 20)
    stop_ab(M, "person:ann", "It is late.")
    labelled(gateway, 200)

    assert steps.Gateway().split("m") is None
    report = report_ab(M, "tests")
    assert not report.reached
    assert "ended before a report of its 100 labelled answers was made" in report.why
    with pytest.raises(InvalidRequest, match="is under way, so there is none to stop"):
        stop_ab(M, "person:ann", "Again.")


def test_a_rollback_ends_it_once_however_often_its_step_is_tried(gateway: Gateway) -> None:
    compared()
    entry = close_release(steps.Gateway(), "m", "tests", "It is rude.", "dag/run/rollback/-1")

    assert entry is not None
    assert (entry.action, entry.after, entry.evidence["step_key"]) == (
        Action.AB,
        "stopped",
        "dag/run/rollback/-1",
    )
    assert steps.Gateway().split("m") is None
    assert comparison_of("m") is None
    assert close_release(steps.Gateway(), "m", "tests", "Again.") is None


def test_a_release_is_refused_beside_it(gateway: Gateway) -> None:
    compared()
    with pytest.raises(
        InvalidRequest, match=r"Version 2 of m is compared with version 1 .* perennial ab stop m"
    ):
        require_alone("m", "m-2-release")
    stop_ab(M, "tests", "It is enough.")
    require_alone("m", "m-2-release")


@pytest.mark.parametrize(
    ("share", "labels", "told"), [(0.0, 200, "share 0"), (1.0, 200, "share 1"), (0.5, 99, "from 100 to")]
)
def test_what_cannot_be_compared_is_refused_at_once(home: Path, share: float, labels: int, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        start_ab(M, Wanted("2", share, labels), "tests", "A test asks.")


def test_a_report_of_none_says_how_one_begins(home: Path) -> None:
    with pytest.raises(InvalidRequest, match="perennial ab start m VERSION"):
        report_ab(M, "tests")


def test_a_split_that_nobody_started_is_closed_and_written_down(gateway: Gateway) -> None:
    split = TrafficSplit(
        release_id="ab-unknown", kind="ab", candidate=Route.model_validate(models.route("2")), share=0.5
    )
    steps.Gateway().open_split(split)
    found = Mismatch(model="m", kind="ab", entry=None, why="Nobody started it.")

    settled = settle_comparison(found, split, CONTEXT)

    assert settled.outcome == "undone"
    assert steps.Gateway().split("m") is None
    (entry,) = entries.history("m", {Action.RECONCILE})
    assert (entry.after, entry.evidence["comparison_id"]) == ("close", "ab-unknown")
