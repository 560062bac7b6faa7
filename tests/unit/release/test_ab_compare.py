"""Which of two versions is better is said of the declared number of labels, with an interval that holds."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from tasks.contracts import Action, Comparison, Labelled, LedgerEntry, Side
from tasks.release.ab_compare import compare, newcombe, replayed, sides_of, welch
from tests.unit.release.test_states import route

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def comparison(labels: int = 400) -> Comparison:
    return Comparison(
        comparison_id="ab-m-2-x",
        model="m",
        share=0.5,
        labels=labels,
        opened_at=NOW,
        stable=route("1"),
        candidate=route("2"),
    )


def answer(
    number: int, role: Any, prediction: Any, label: Any, version: str | None = None, instances: int = 1
) -> Labelled:
    version = version or ("2" if role == "candidate" else "1")
    return Labelled(
        prediction_id=f"p{number}",
        model_version=version,
        run_id=f"run-{version}",
        role=role,
        features={},
        prediction=prediction,
        score=None,
        label=label,
        received_at=NOW,
        instances=instances,
    )


def side(version: str, values: list[float]) -> Side:
    squares = sum(value * value for value in values)
    return Side(version=version, rows=len(values), loss=sum(values), squares=squares)


def shares(version: str, rows: int, wrong: int) -> Side:
    return Side(version=version, rows=rows, loss=wrong, squares=wrong)


def test_nothing_is_said_of_the_versions_before_the_declared_number_is_there() -> None:
    report = compare(comparison(), shares("1", 200, 100), shares("2", 199, 0), is_number=False)

    assert (report.reached, report.labelled, report.better) == (False, 399, None)
    assert (report.difference, report.stable, report.candidate) == (None, None, None)
    assert report.why == "399 of 400 labelled answers are there. Nothing is said of the versions before."


def test_a_version_with_hardly_an_answer_is_not_judged() -> None:
    report = compare(comparison(), shares("1", 380, 10), shares("2", 29, 29), is_number=False)
    assert not report.reached
    assert "fewer than 30" in report.why


@pytest.mark.parametrize(
    ("wrong", "better", "told"),
    [(20, "2", "Version 2 is better."), (90, "1", "Version 1 is better."), (52, None, "Neither version")],
)
def test_the_better_version_is_named_where_the_interval_leaves_no_doubt(
    wrong: int, better: str | None, told: str
) -> None:
    report = compare(comparison(), shares("1", 200, 50), shares("2", 200, wrong), is_number=False)

    assert (report.reached, report.better) == (True, better)
    assert told in report.why
    assert "version 1 25.00% of 200 answers" in report.why


@pytest.mark.parametrize(("one", "other"), [((200, 50), (300, 30)), ((50, 0), (60, 3)), ((40, 40), (40, 40))])
def test_the_interval_of_shares_is_newcombes(one: tuple[int, int], other: tuple[int, int]) -> None:
    _, low, high = newcombe(shares("2", *one), shares("1", *other))
    known = confint_proportions_2indep(one[1], one[0], other[1], other[0], method="newcomb", compare="diff")
    assert (low, high) == pytest.approx(known, abs=1e-9)


def test_the_interval_of_errors_is_welchs() -> None:
    rng = random.Random(1)
    one, other = [rng.expovariate(1) for _ in range(80)], [rng.expovariate(0.5) for _ in range(40)]
    _, low, high = welch(side("2", one), side("1", other))
    known = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (low, high) == pytest.approx((known.low, known.high), rel=1e-9)


def test_two_versions_that_never_err_differ_by_nothing() -> None:
    assert welch(side("2", [0.0] * 40), side("1", [0.0] * 40)) == (0.0, 0.0, 0.0)


def test_two_equal_versions_are_called_different_as_rarely_as_declared() -> None:
    rng, named = random.Random(7), 0
    for _ in range(1000):
        wrong = [sum(rng.random() < 0.1 for _ in range(200)) for _ in range(2)]
        report = compare(
            comparison(), shares("1", 200, wrong[0]), shares("2", 200, wrong[1]), is_number=False
        )
        named += report.better is not None
    assert named / 1000 < 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5


@pytest.mark.parametrize("is_number", [True, False])
def test_equal_versions_are_called_different_no_more_often_where_a_request_has_many_alike(
    is_number: bool,
) -> None:
    rng, named = random.Random(8), 0
    for _ in range(100):
        alike = [(role, rng.choice([0, 1])) for role in ("stable", "candidate") for _ in range(40)]
        seen = [answer(1, role, 1, label, instances=10) for role, label in alike for _ in range(10)]
        sides = sides_of(seen, comparison(labels=800), is_number=is_number)
        report = compare(comparison(labels=800), *sides, is_number=is_number)
        assert (report.reached, report.labelled) == (True, 800)
        named += report.better is not None
    assert named <= 10


def test_many_answers_in_few_requests_are_not_judged() -> None:
    seen = [answer(1, role, 1, 0, instances=20) for _ in range(200) for role in ("stable", "candidate")]
    report = compare(comparison(), *sides_of(seen, comparison(), is_number=False), is_number=False)
    assert (report.reached, "fewer than 30 requests" in report.why) == (False, True)


def test_only_answers_that_were_drawn_count_and_of_these_the_declared_number() -> None:
    drawn = [
        answer(number, "candidate" if number % 2 else "stable", 1, number % 4 // 2) for number in range(300)
    ]
    others = [
        answer(900, None, 1, 0, version="2"),  # a tester named the version
        answer(901, "stable", 1, 0, version="7"),  # of an earlier version
    ]
    stable, candidate = sides_of([*others, *drawn], comparison(labels=100), is_number=False)
    assert (stable.rows, candidate.rows) == (50, 50)
    assert (stable.loss, candidate.loss) == (25, 25)


def test_an_answer_without_a_number_has_no_error_and_true_is_none() -> None:
    seen = [answer(1, "stable", 1.5, 3), answer(2, "stable", None, 3), answer(3, "candidate", True, 1)]
    stable, candidate = sides_of(seen, comparison(), is_number=True)
    assert (stable.rows, stable.loss, stable.squares, candidate.rows) == (1, 1.5, 2.25, 0)


@pytest.mark.parametrize("is_number", [True, False])
def test_a_report_is_replayed_from_what_its_entry_holds(is_number: bool) -> None:
    report = compare(comparison(), shares("1", 200, 50), shares("2", 200, 20), is_number=is_number)
    entry = LedgerEntry(
        sequence=1,
        at=NOW,
        model="m",
        actor="tests",
        action=Action.AB,
        before="1",
        after="reported",
        why=report.why,
        evidence={"report": report.model_dump(mode="json")},
        evidence_sha256="0",
        previous_hash="0",
        entry_hash="0",
    )
    assert replayed(entry) == report
