"""The gate: what is worse, broken, unknown or unproven
is never promoted, and every decision can be made again.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from tasks.contracts import (
    Action,
    AsTrained,
    EvaluationReport,
    GateDecision,
    Metric,
    ModelScore,
    PairedDifference,
    PinnedTable,
    Preparation,
    PreparationDifference,
    SliceScore,
)
from tasks.errors import ArchiveMismatch, FrozenSetMismatch, InvalidRequest
from tasks.evaluation import metrics
from tasks.evaluation.answers import Answers, Target
from tasks.gate import decide as deciding
from tasks.gate import gate
from tasks.gate.rules.as_trained import serves_as_trained
from tasks.ledger import entries
from tasks.spec import GateSpec
from tests.unit.judged import LOOK, TABLE, archive, evaluation, gained, request, run, score

RULES = GateSpec(
    minimum={"accuracy": 0.8}, first_model_minimum={"accuracy": 0.8}, minimum_gain_over_baseline=0.05
)
NAN = float("nan")

shares = st.floats(0, 1)
numbers = st.floats(allow_nan=True, allow_infinity=True)


def decide(report: EvaluationReport, rules: GateSpec = RULES, **changes: Any) -> GateDecision:
    return deciding.decide(report, rules, archive(**changes), None if report.champion is None else LOOK)


def failed(decision: GateDecision) -> list[str]:
    return [rule.rule for rule in decision.rules if not rule.passed]


def sliced(rows: int = 500, **values: float) -> dict[str, Any]:
    """A candidate with slices by `source`, and the difference in each of them."""
    metric = Metric(name="accuracy", value=0.9, low=0.89, high=0.91)
    slices = tuple(SliceScore(column="source", value=value, rows=rows, metric=metric) for value in values)
    each = tuple(gained(value, slice_value=name, rows=rows) for name, value in values.items())
    return {"scored": score("candidate", 0.9, slices=slices), "differences": (gained(0.01), *each)}


def test_a_candidate_that_is_better_than_the_champion_is_promoted() -> None:
    decision = decide(evaluation())

    assert decision.verdict == "promote"
    assert failed(decision) == []
    assert (decision.first_model, decision.look) == (False, LOOK)
    assert "accuracy 0.9100 [0.9000, 0.9200] on 1000 test rows, +0.0100 [+0.0050, +0.0150]" in decision.why


def test_a_candidate_that_is_as_good_as_the_champion_is_held_and_told_what_would_decide() -> None:
    equal, seems_better = decide(evaluation(candidate=0.9)), decide(evaluation(candidate=0.912, width=0.012))

    assert (equal.verdict, failed(equal)) == ("hold", ["superiority.accuracy"])
    assert "+0.0000 [-0.0050, +0.0050] on 1000 rows (p = 0.5, and at most 0.0063 shows it)" in equal.why
    assert "A true gain of 0.01 in accuracy would be shown by about 1,100 test rows." in equal.why
    assert seems_better.verdict == "hold"
    assert "A gain as large as this one would be shown by about 3,000 test rows." in seems_better.why


def test_as_many_test_rows_as_a_hold_asks_for_show_that_gain_four_times_of_five() -> None:
    """The sentence's number, tried: models that disagree on a tenth of the rows."""
    outcome = np.repeat([1, -1, 0], [46, 34, 720])
    held = decide(evaluation(differences=(_compared(outcome),)))
    assert held.verdict == "hold"
    needed = int(held.why.split("about ")[1].split(" ")[0].replace(",", ""))
    assert 800 < needed < 20_000, held.why

    gain = float(outcome.mean())
    shown = [_paired(needed, gain, np.random.default_rng([3, seed])).p_not_better for seed in range(200)]

    assert 0.7 < float(np.mean([p is not None and p <= LOOK.alpha for p in shown])) < 0.95


def _paired(rows: int, gain: float, rng: np.random.Generator) -> PairedDifference:
    """The difference of two models that disagree on a tenth of the rows; all labels are 1."""
    return _compared(rng.choice([-1, 0, 1], rows, p=[0.05 - gain / 2, 0.9, 0.05 + gain / 2]))


def _compared(outcome: NDArray[np.int64]) -> PairedDifference:
    """1 where only the candidate is right, -1 where only the champion is."""
    champion = np.where(outcome == 1, 0, 1)
    candidate = np.where(outcome == -1, 0, 1)
    truth, target = np.ones(len(outcome), dtype=np.int64), Target("binary", (0, 1))
    found = metrics.difference("accuracy", target, truth, Answers(candidate), Answers(champion))
    assert found is not None
    return found


@given(champion=shares, candidate=shares, width=st.floats(0, 0.5))
def test_a_worse_model_is_never_promoted(champion: float, candidate: float, width: float) -> None:
    decision = decide(evaluation(candidate=candidate, champion=champion, width=width))

    if candidate < champion - RULES.margin or candidate + width < champion or candidate < 0.8:
        assert decision.verdict == "reject"
    if decision.verdict == "promote":
        assert candidate - 1.2 * width > champion


@given(candidate=shares, better=shares, champion=shares, width=st.floats(0, 0.2))
def test_a_better_candidate_is_never_judged_worse(
    candidate: float, better: float, champion: float, width: float
) -> None:
    order = ["reject", "hold", "promote"]
    lesser, greater = sorted([candidate, better])

    verdicts = [
        decide(evaluation(candidate=each, champion=champion, width=width)).verdict
        for each in (lesser, greater)
    ]

    assert order.index(verdicts[0]) <= order.index(verdicts[1])


@given(margin=shares, wider=shares, candidate=shares)
def test_a_wider_margin_never_makes_the_gate_stricter(margin: float, wider: float, candidate: float) -> None:
    order = ["reject", "hold", "promote"]
    rules = [RULES.model_copy(update={"margin": each}) for each in sorted([margin, wider])]

    verdicts = [decide(evaluation(candidate=candidate), each).verdict for each in rules]

    assert order.index(verdicts[0]) <= order.index(verdicts[1])


@pytest.mark.parametrize(("points", "at_most"), [(0.0, 0.05), (-0.01, 0.005)])
def test_a_model_that_is_no_better_passes_by_luck_no_more_often_than_declared(
    points: float, at_most: float
) -> None:
    """Real answers through the real test, at a level of 5 %."""
    look = LOOK.model_copy(update={"alpha": 0.05})
    promoted = 0
    for seed in range(400):
        found = _paired(1000, points, np.random.default_rng(seed))
        report = evaluation(differences=(found,))
        promoted += deciding.decide(report, RULES, archive(), look).verdict == "promote"
    assert promoted <= stats.binom.ppf(0.999, 400, at_most)


@given(value=numbers, low=numbers, high=numbers)
def test_what_is_not_a_number_never_promotes(value: float, low: float, high: float) -> None:
    broken = Metric(name="accuracy", value=value, low=low, high=high)
    gain = gained(0.0).model_copy(update={"difference": value, "low": low, "high": high})
    reports = [
        evaluation(scored=score("candidate", 0.9, metrics=(broken,))),
        evaluation(differences=(gain,)),
    ]
    if not all(np.isfinite([value, low, high])):
        assert all(decide(report).verdict != "promote" for report in reports)


@pytest.mark.parametrize("latency", [None, NAN, float("inf"), 0.3])
def test_a_latency_that_is_slow_or_unknown_rejects(latency: float | None) -> None:
    decision = decide(evaluation(scored=score("candidate", 0.9, latency_p95_seconds=latency)))
    assert (decision.verdict, failed(decision)) == ("reject", ["latency_p95_seconds"])


@pytest.mark.parametrize("served", [0.894, 0.906, None])
def test_an_archive_that_answers_otherwise_than_was_trained_rejects_whichever_is_better(
    served: float | None,
) -> None:
    trained = AsTrained(metric="accuracy", rows=400, trained=0.9, served=served)
    decision = decide(evaluation(as_trained=trained))

    assert (decision.verdict, failed(decision)) == ("reject", ["serves_as_trained"])
    assert "The training measured accuracy 0.9000, and the archive" in decision.why
    assert "The handler prepares rows in another way" in decision.why


def test_a_row_that_is_prepared_otherwise_rejects_and_what_cannot_be_compared_does() -> None:
    first = PreparationDifference(row="id 7", input="numbers[2]", trained="7.62", served="6.93")
    one = Preparation(rows=200, differing=1, first=first, unknown=None)
    unseen = Preparation(rows=0, differing=0, first=None, unknown="the handler imports no PyTorch.")
    for found, said in (
        (one, "row id 7, input numbers[2]: 6.93 when it serves"),
        (unseen, "take the function"),
    ):
        decision = decide(evaluation(preparation=found))
        assert (decision.verdict, failed(decision)) == ("reject", ["prepares_as_trained"])
        assert said in decision.why

    same = Preparation(rows=200, differing=0, first=None, unknown=None)
    assert decide(evaluation(preparation=same)).verdict == decide(evaluation()).verdict


def test_an_archive_that_answers_as_was_trained_passes_in_the_units_of_its_metric() -> None:
    assert serves_as_trained(AsTrained(metric="accuracy", rows=400, trained=0.9, served=0.9025)).passed
    assert not serves_as_trained(AsTrained(metric="accuracy", rows=4000, trained=0.9, served=0.9025)).passed
    assert serves_as_trained(AsTrained(metric="rmse", rows=400, trained=30, served=30.02)).passed
    assert not serves_as_trained(AsTrained(metric="rmse", rows=400, trained=30, served=30.04)).passed


def test_an_archive_that_is_too_large_rejects() -> None:
    assert failed(decide(evaluation(), size_bytes=600_000_000)) == ["archive_bytes"]


def test_what_may_be_worse_holds_and_what_surely_is_rejects_however_small() -> None:
    unsure = decide(evaluation(candidate=0.895, width=0.03))
    assert (unsure.verdict, failed(unsure)) == ("hold", ["superiority.accuracy"])

    small_but_sure = decide(evaluation(candidate=0.896, width=0.003))
    assert (small_but_sure.verdict, failed(small_but_sure)) == ("reject", ["superiority.accuracy"])
    assert "is worse than the champion: -0.0040 [-0.0070, -0.0010] on 1000 rows." in small_but_sure.why

    beyond_the_margin = decide(evaluation(candidate=0.889, width=0.03))
    assert beyond_the_margin.verdict == "reject"


@pytest.mark.parametrize(
    "named",
    [(), (TABLE.model_copy(update={"table": "others", "version_at": TABLE.version_at - timedelta(1)}),)],
)
def test_test_rows_of_which_nothing_shows_that_they_are_new_enough_hold(
    named: tuple[PinnedTable, ...],
) -> None:
    decision = decide(evaluation(tables=named))
    assert (decision.verdict, failed(decision)) == ("hold", ["current_test_rows"])


def test_a_candidate_of_an_older_snapshot_than_the_champions_is_held() -> None:
    newer = TABLE.model_copy(update={"version": 9, "version_at": TABLE.version_at + timedelta(days=1)})

    decision = decide(evaluation(champion_tables=(newer,)))

    assert (decision.verdict, failed(decision)) == ("hold", ["current_test_rows"])
    assert (
        "version 3 of reviews, which is older than version 9 of reviews, which the champion" in decision.why
    )
    assert decide(evaluation(tables=(newer,))).verdict == "promote"


def test_slices_are_called_worse_together_no_more_often_than_one_would_be() -> None:
    """Twenty slices on which the two are equal: each alone would be called worse in every twentieth case."""
    called = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        each = {f"s{place}": _paired(300, 0.0, rng) for place in range(20)}
        parts = sliced(rows=300, **{name: found.difference for name, found in each.items()})
        slices = (found.model_copy(update={"slice_value": name}) for name, found in each.items())
        called += decide(evaluation(**{**parts, "differences": (gained(0.01), *slices)})).verdict == "reject"
    assert called <= stats.binom.ppf(0.999, 100, 0.05)


def test_one_answer_that_turned_wrong_on_a_slice_is_no_harm() -> None:
    """By the exact test: nothing is sure of one disagreement."""
    parts = sliced(imdb=0.02, traffic=0.0)
    one_lost = _compared(np.repeat([-1, 0], [1, 499])).model_copy(update={"slice_value": "traffic"})

    decision = decide(evaluation(**{**parts, "differences": (*parts["differences"][:2], one_lost)}))

    assert decision.verdict == "promote"


def test_a_slice_that_only_seems_worse_holds() -> None:
    parts = sliced(imdb=0.02, traffic=-0.05)
    differences = (*parts["differences"][:2], gained(-0.05, 0.06, slice_value="traffic", rows=500))

    decision = decide(evaluation(**{**parts, "differences": differences}))

    assert (decision.verdict, failed(decision)) == ("hold", ["slice_margin.source=traffic"])
    assert "seems worse than the champion on source=traffic" in decision.why


def test_a_slice_that_got_worse_stops_a_model_that_is_as_good_on_average() -> None:
    decision = decide(evaluation(**sliced(imdb=0.02, traffic=-0.08)))

    assert decision.verdict == "reject"
    assert failed(decision) == ["slice_margin.source=traffic"]
    assert "on source=traffic" in decision.why


def test_a_small_slice_is_reported_and_not_judged() -> None:
    decision = decide(evaluation(**sliced(rows=50, traffic=-0.5)))
    assert decision.verdict == "promote"


def test_a_slice_whose_difference_is_not_defined_holds() -> None:
    parts = sliced(imdb=0.0, traffic=0.0)
    decision = decide(evaluation(**{**parts, "differences": parts["differences"][:2]}))
    assert (decision.verdict, failed(decision)) == ("hold", ["slice_margin.source=traffic"])


def test_a_first_model_has_its_own_rule() -> None:
    good = decide(evaluation(candidate=0.85, champion=None))
    assert good.verdict == "promote"
    assert good.first_model
    assert {"first_model", "first_model_minimum.accuracy", "gain_over_baseline"} <= {
        rule.rule for rule in good.rules
    }

    assert failed(decide(evaluation(candidate=0.79, champion=None))) == ["first_model_minimum.accuracy"]


def test_a_minimum_is_held_to_by_the_limit_of_the_interval() -> None:
    perhaps = decide(evaluation(candidate=0.805, champion=None))
    assert (perhaps.verdict, failed(perhaps)) == ("hold", ["first_model_minimum.accuracy"])
    assert "0.8050 [0.7950, 0.8150] is at least 0.8, but perhaps only by luck" in perhaps.why


def test_a_model_that_is_no_better_than_the_baseline_never_passes_even_if_no_gain_is_asked_for() -> None:
    rules = GateSpec(first_model_minimum={"accuracy": 0.4})
    constant = score("candidate", 0.5, width=0.0)

    decision = decide(evaluation(champion=None, scored=constant), rules)

    assert (decision.verdict, failed(decision)) == ("reject", ["gain_over_baseline"])
    assert "is no better than the 0.5000 of baseline" in decision.why


def test_a_first_model_of_which_nothing_is_asked_is_held() -> None:
    decision = decide(evaluation(champion=None), GateSpec(minimum={"accuracy": 0.8}))
    assert (decision.verdict, failed(decision)) == ("hold", ["first_model"])
    assert "Declare it in pipeline.yaml." in decision.why


def test_a_metric_that_a_rule_names_and_the_rows_do_not_define_rejects_in_clear_words() -> None:
    decision = decide(evaluation(), RULES.model_copy(update={"minimum": {"roc_auc": 0.7}}))
    assert (decision.verdict, failed(decision)) == ("reject", ["minimum.roc_auc"])
    assert "roc_auc is not defined on these rows, so gate.minimum.roc_auc of 0.7 cannot be" in decision.why

    scored = score("candidate", 0.9, undefined={"roc_auc": "not every answer has a score"})
    decision = decide(evaluation(scored=scored), RULES.model_copy(update={"minimum": {"roc_auc": 0.7}}))
    assert "on these rows (candidate: not every answer has a score), so gate" in decision.why


def test_no_gain_over_the_baseline_rejects_and_a_gain_that_may_be_luck_holds() -> None:
    rules = GateSpec(first_model_minimum={"accuracy": 0.4}, minimum_gain_over_baseline=0.05)
    none = decide(evaluation(candidate=0.54, champion=None), rules)
    luck = decide(evaluation(champion=None, scored=score("candidate", 0.56, 0.02)), rules)
    assert (none.verdict, luck.verdict) == ("reject", "hold")
    assert failed(none) == failed(luck) == ["gain_over_baseline"]


def test_few_test_rows_hold_whatever_the_metrics_say() -> None:
    decision = decide(evaluation(candidate=1.0, rows=199))
    assert (decision.verdict, failed(decision)) == ("hold", ["minimum_test_rows"])


def test_a_champion_that_was_scored_on_other_rows_is_no_comparison() -> None:
    with pytest.raises(FrozenSetMismatch, match="same rows"):
        decide(evaluation(champion_frozen_sha256="0" * 64))
    with pytest.raises(FrozenSetMismatch):
        decide(evaluation(champion_frozen_sha256=None))


def test_an_archive_that_was_not_evaluated_is_not_judged() -> None:
    with pytest.raises(ArchiveMismatch):
        decide(evaluation(), sha256="9" * 64)


def test_an_evaluation_by_another_metric_is_not_judged() -> None:
    with pytest.raises(InvalidRequest, match="roc_auc"):
        decide(evaluation(), RULES.model_copy(update={"primary_metric": "roc_auc"}))


@pytest.mark.parametrize(
    "rules",
    [
        {"margin": float("inf")},
        {"margin": NAN},
        {"false_promotion_rate": 0},
        {"false_promotion_rate": 0.6},
        {"false_promotion_rate": NAN},
        {"slice_margin": 2},
        {"minimum": {"accurcay": 0.8}},
        {"minimum": {"accuracy": NAN}},
        {"first_model_minimum": {"log_loss": 0.5}},
        {"minimum_gain_over_baseline": -1},
        {"latency_p95_seconds": float("inf")},
        {"minimum_gain_over_baseline": 2},
        {"maximum": {"accuracy": 0.5}},
        {"primary_metric": "recall"},
        {"primary_metric": "recall.wasp"},
    ],
)
def test_rules_that_would_open_the_gate_cannot_be_written(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GateSpec(**rules)


def test_the_decision_is_in_the_ledger_before_mlflow_hears_of_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The MLflow server is not there, as if it had died between the two."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("PERENNIAL_MLFLOW_URL", "http://127.0.0.1:1")
    gate.registry.settings.cache_clear()

    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        gate.gate(request())

    assert [(entry.action, entry.after) for entry in entries.history()] == [("gate", "promote")]


def test_the_ledger_alone_gives_the_same_decision_again(home: Path) -> None:
    for report in (
        evaluation(),
        evaluation(candidate=0.7),
        evaluation(champion=None),
        evaluation(width=0.1, **sliced(a=-0.2)),
    ):
        decision = decide(report)
        entry = entries.record(
            model=report.model,
            actor="gate",
            action=Action.GATE,
            before=None,
            after=decision.verdict,
            why=decision.why,
            evidence={
                "evaluation": report,
                "rules": RULES,
                "archive": archive(),
                "look": decision.look,
                "decision": decision,
            },
        )
        stored = entries.find(entry.entry_hash)
        assert stored is not None
        assert deciding.replay(stored) == decision
        assert GateDecision.model_validate(stored.evidence["decision"]) == decision


@pytest.mark.parametrize("left_out", [("health",), ("sets",), ("health", "sets")])
def test_an_evaluation_that_leaves_out_what_a_rule_reads_is_refused(
    home: Path, left_out: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidRequest, match=f"lacks {' and '.join(left_out)}, so that rules"):
        gate.judge(request(evaluation=evaluation(**dict.fromkeys(left_out))), datetime.now(UTC))
    assert entries.history() == []


def test_a_mix_of_two_candidates_is_refused_before_it_is_recorded(home: Path) -> None:
    for changes, error in (
        ({"run": run(run_id="d" * 32)}, InvalidRequest),
        ({"archive": archive(model="flight_delay")}, InvalidRequest),
        (
            {"evaluation": evaluation(frozen_sha256="0" * 64, champion_frozen_sha256="0" * 64)},
            FrozenSetMismatch,
        ),
    ):
        with pytest.raises(error):
            gate.gate(request(**changes))
    assert entries.history() == []


# --- a metric of which less is better -----------------------------------------------------------------------

ERROR_RULES = GateSpec(
    primary_metric="rmse",
    maximum={"rmse": 12},
    first_model_maximum={"rmse": 12},
    margin=0.5,
    slice_margin=1,
    minimum_gain_over_baseline=2,
)
errors = st.floats(0, 30)


def of_regression(
    candidate: float, champion: float | None = 10, width: float = 0.2, scale: float = 1
) -> EvaluationReport:
    def scored(role: Any, value: float) -> ModelScore:
        numbers = {"value": value, "low": value - 0.1, "high": value + 0.1}
        metric = Metric(name="rmse", **{name: number * scale for name, number in numbers.items()})
        return score(role, 0.5, metrics=(metric,))

    difference = (
        None
        if champion is None
        else gained((candidate - champion) * scale, width * scale, larger_is_better=False)
    )
    return evaluation(
        champion=champion,
        scored=scored("candidate", candidate),
        differences=() if difference is None else (difference,),
        primary_metric="rmse",
        baseline=scored("baseline", 20),
    )


@given(candidate=errors, width=st.floats(0, 5))
def test_a_regression_with_a_larger_error_is_never_promoted(candidate: float, width: float) -> None:
    decision = decide(of_regression(candidate, width=width), ERROR_RULES)

    if candidate > 10.5 or candidate - width > 10:
        assert decision.verdict == "reject"
    if decision.verdict == "promote":
        assert candidate + 1.2 * width < 10


@given(candidate=errors, better=errors)
def test_a_regression_with_a_smaller_error_is_never_judged_worse(candidate: float, better: float) -> None:
    order = ["reject", "hold", "promote"]
    verdicts = [
        decide(of_regression(each), ERROR_RULES).verdict for each in sorted([candidate, better], reverse=True)
    ]
    assert order.index(verdicts[0]) <= order.index(verdicts[1])


def test_a_regression_is_judged_in_the_units_of_its_label() -> None:
    assert decide(of_regression(9.5), ERROR_RULES).verdict == "promote"
    assert decide(of_regression(9.9), ERROR_RULES).verdict == "hold"

    worse = decide(of_regression(11), ERROR_RULES)
    assert failed(worse) == ["superiority.rmse"]
    assert "worse than the champion: +1.0000 [+0.8000, +1.2000] on 1000 rows." in worse.why

    first = decide(of_regression(13, champion=None), ERROR_RULES)
    assert failed(first) == ["first_model_maximum.rmse"]
    assert "is above 12" in first.why

    no_gain = decide(of_regression(19, champion=None), ERROR_RULES)
    assert "gain_over_baseline" in failed(no_gain)


@given(value=numbers, low=numbers, high=numbers)
def test_what_is_not_a_number_never_promotes_a_regression(value: float, low: float, high: float) -> None:
    broken = Metric(name="rmse", value=value, low=low, high=high)
    gain = gained(0.0).model_copy(update={"difference": value, "low": low, "high": high})
    reports = [
        of_regression(9).model_copy(update={"candidate": score("candidate", 0.5, metrics=(broken,))}),
        of_regression(9).model_copy(update={"differences": (gain,)}),
    ]
    if not all(np.isfinite([value, low, high])):
        assert all(decide(report, ERROR_RULES).verdict != "promote" for report in reports)


@given(margin=st.floats(0, 5), wider=st.floats(0, 5), candidate=errors)
def test_a_wider_margin_never_makes_the_gate_stricter_for_a_regression(
    margin: float, wider: float, candidate: float
) -> None:
    order = ["reject", "hold", "promote"]
    rules = [ERROR_RULES.model_copy(update={"margin": each}) for each in sorted([margin, wider])]

    verdicts = [decide(of_regression(candidate), each).verdict for each in rules]

    assert order.index(verdicts[0]) <= order.index(verdicts[1])


def test_a_regression_that_may_be_worse_or_is_worse_on_a_slice_is_not_promoted() -> None:
    unsure = decide(of_regression(9.9, width=0.7), ERROR_RULES)
    assert (unsure.verdict, failed(unsure)) == ("hold", ["superiority.rmse"])

    metric = Metric(name="rmse", value=9, low=8, high=10)
    part = SliceScore(column="origin", value="JFK", rows=500, metric=metric)
    report = of_regression(9)
    report = report.model_copy(
        update={
            "candidate": report.candidate.model_copy(update={"slices": (part,)}),
            "differences": (
                *report.differences,
                gained(1.5, slice_value="JFK", rows=500, larger_is_better=False),
            ),
        }
    )
    worse = decide(report, ERROR_RULES)
    assert failed(worse) == ["slice_margin.origin=JFK"]
    assert "the champion on origin=JFK: +1.5000 [+1.4950, +1.5050] on 500 rows." in worse.why


def test_an_error_in_small_units_is_told_in_digits_that_say_something() -> None:
    rules = GateSpec(primary_metric="rmse", margin=0, first_model_maximum={"rmse": 1}, slice_margin=0)

    decision = decide(of_regression(11, scale=1e-6), rules)

    assert "is worse than the champion: +1e-06 [+8e-07, +1.2e-06] on 1000 rows." in decision.why


def test_a_champion_without_a_number_for_each_row_is_named_as_what_cannot_be_compared() -> None:
    reason = "3 of 1000 rows were not answered with a finite number"
    report = of_regression(9)
    assert report.champion is not None
    champion = report.champion.model_copy(update={"metrics": (), "undefined": {"rmse": reason}})

    decision = decide(report.model_copy(update={"champion": champion, "differences": ()}), ERROR_RULES)

    assert (decision.verdict, failed(decision)) == ("hold", ["superiority.rmse"])
    assert f"to the champion is not defined on these rows (champion: {reason}), so nothing" in decision.why


def test_the_recall_of_a_class_may_be_asked_for() -> None:
    rules = GateSpec(minimum={"recall.wasp": 0.6}, first_model_minimum={"accuracy": 0.5})
    names = ("accuracy", "recall.wasp")
    low = tuple(Metric(name=name, value=0.5, low=0.4, high=0.6) for name in names)

    decision = decide(evaluation(scored=score("candidate", 0.9, metrics=low)), rules)

    assert "minimum.recall.wasp" in failed(decision)
    assert "recall.wasp 0.5000 [0.4000, 0.6000] is below 0.6." in decision.why
