"""The drift check on real reviews with labels: what labels and texts can go through is found, and named.

The files are no part of the repository (Yelp, Phoenix, 2005 to 2013). The model is one that anybody would
train first: words weighted by TF-IDF, and logistic regression. A label is positive from three stars on.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline

from tasks.contracts import (
    Action,
    DriftDecision,
    DriftRequest,
    Metric,
    SetScore,
    StepContext,
    TrainingRun,
)
from tasks.gate.decide import decide
from tasks.ledger import entries
from tasks.monitoring import drift
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec
from tasks.stores import database
from tasks.stores.lake import Lake, arrow_schema
from tests.unit import judged

YELP = PROJECT.parent / "shared" / "data" / "yelp"
REVIEWS, AIRLINES = YELP / "phoenix_2005_2013.csv.gz", YELP / "airlines_2007_2019.csv.gz"
pytestmark = pytest.mark.skipif(not REVIEWS.exists(), reason="the folder shared/data/yelp is not here")

SHIPPED = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
RULES = SHIPPED.monitor.model_copy(update={"minimum_window_rows": 100})
SPEC = SHIPPED.model_copy(update={"monitor": RULES})
LENGTH, FIRST = timedelta(days=60), datetime(2012, 1, 1, tzinfo=UTC)
ORDINARY = 3
"""So many windows before what is planted."""

Plant = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Served:
    """A model that serves, and the reviews that come after those that it knows.

    Attributes:
        home: Its state folder.
        ordinary: What was decided of the first windows, whose reviews and labels were as they are.
    """

    home: Path
    model: Pipeline
    run: TrainingRun
    later: pd.DataFrame
    ordinary: tuple[DriftDecision, ...] = ()


def read(path: Path) -> pd.DataFrame:
    rows = pd.read_csv(path)
    return pd.DataFrame(
        {
            "review_id": rows["review_id"].astype(str),
            "written_at": pd.to_datetime(rows["date"], utc=True),
            "source": "yelp",
            "text": rows["text"].astype(str),
            "label": (rows["stars"] >= 3).astype("int64"),
        }
    )


@pytest.fixture(scope="module")
def fitted() -> tuple[Pipeline, pd.DataFrame, pd.DataFrame]:
    """A model, the rows of before 2012 that it did not learn from, and those of 2012."""
    rows = read(REVIEWS)
    before, later = rows[rows["written_at"] < FIRST], rows[rows["written_at"] >= FIRST]
    learnt = np.arange(len(before)) % 3 > 0
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, min_df=3), LogisticRegression(C=10, class_weight="balanced")
    )
    model.fit(before["text"][learnt], before["label"][learnt])
    return model, before[~learnt], later


@pytest.fixture(scope="module")
def past(
    fitted: tuple[Pipeline, pd.DataFrame, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Served:
    """The ordinary windows have passed."""
    home = tmp_path_factory.mktemp("past")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERENNIAL_HOME", str(home))
        forget_settings()
        served = begin(home, fitted)
        ordinary = tuple(pass_by(served, window) for window in range(ORDINARY))
        database.engine().dispose()
    forget_settings()
    return replace(served, ordinary=ordinary)


@pytest.fixture
def served(past: Served, home: Path) -> Served:
    """A copy of that past, which a test may go on with."""
    shutil.copytree(past.home, home, dirs_exist_ok=True)
    return replace(past, home=home)


def forget_settings() -> None:
    settings.cache_clear()
    database.engine.cache_clear()


def begin(home: Path, fitted: tuple[Pipeline, pd.DataFrame, pd.DataFrame]) -> Served:
    """Let the model serve, in the state folder of the settings."""
    model, held_out, later = fitted
    table = pa.Table.from_pandas(held_out, schema=arrow_schema(SPEC.data.columns), preserve_index=False)
    Lake().append("reviews", table, batch_id="known")
    version = Lake().latest("reviews")
    frozen = {
        "table_version": version,
        "version_at": Lake().committed_at("reviews", version),
        **{
            name: judged.part(home, name, table.drop_columns(["written_at"]))
            for name in ("train", "validation", "test")
        },
    }
    run = judged.run(snapshot=judged.snapshot().model_copy(update=frozen))
    promote(run, model, held_out)
    return Served(home, model, run, later)


def promote(run: TrainingRun, model: Pipeline, rows: pd.DataFrame) -> None:
    scores = scored(model, rows["text"])
    accuracy = accuracy_score(rows["label"], scores > 0.5)
    metrics = tuple(
        Metric(name=name, value=value, low=value - 0.015, high=value + 0.015)
        for name, value in (("accuracy", accuracy), ("roc_auc", roc_auc_score(rows["label"], scores)))
    )
    own = judged.score("candidate", accuracy, metrics=metrics)
    entries.record(
        model=SPEC.name,
        actor="a test",
        action=Action.GATE,
        before=None,
        after="promote",
        why="",
        evidence={"decision": {"run_id": run.run_id}, "evaluation": judged.evaluation(scored=own)},
    )


def scored(model: Pipeline, texts: "pd.Series[str]") -> NDArray[np.float64]:
    return np.asarray(model.predict_proba(texts)[:, 1])


def pass_by(served: Served, window: int, plant: Plant = lambda rows: rows) -> DriftDecision:
    """Let the service answer a window's reviews, and their labels come; then check it."""
    start = FIRST + window * LENGTH
    times = served.later["written_at"]
    rows = plant(served.later[(times >= start) & (times < start + LENGTH)].reset_index(drop=True))
    scores = scored(served.model, rows["text"])
    ids = [f"{window}-{number}" for number in range(len(rows))]
    at = pa.array(
        [start + LENGTH * number / len(rows) for number in range(len(rows))], pa.timestamp("us", "UTC")
    )
    logged = {
        "prediction_id": ids,
        "predicted_at": at,
        "run_id": [judged.RUN] * len(rows),
        "prediction": [str(int(score > 0.5)) for score in scores],
        "score": scores,
        "request": ["{}"] * len(rows),
        "text": list(rows["text"]),
    }
    labels = {
        "sequence": list(range(window * 10_000, window * 10_000 + len(rows))),
        "prediction_id": ids,
        "label": [str(label) for label in rows["label"]],
        "received_at": at,
        "sent_by": ["shop"] * len(rows),
    }
    Lake().append(f"{SPEC.name}__predictions", pa.table(logged), batch_id=f"p-{window}")
    Lake().append(f"{SPEC.name}__feedback", pa.table(labels), batch_id=f"f-{window}")
    context = StepContext(
        actor="drift/window", step_key="drift", work_url=str(served.home / f"work-{window}")
    )
    return drift.check(
        DriftRequest(context=context, spec=SPEC, window_start=start, window_end=start + LENGTH), served.run
    )


def sure(decision: DriftDecision) -> dict[str, str]:
    """The level of what is sure, by its reason."""
    return {each.reason: each.level for each in decision.signals if each.level in {"alarm", "incident"}}


def inverted(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(label=1 - rows["label"])


def misjoined(rows: pd.DataFrame) -> pd.DataFrame:
    """Each text with the label of another one."""
    return rows.assign(label=np.random.default_rng(0).permutation(rows["label"]))


def of_airlines(rows: pd.DataFrame) -> pd.DataFrame:
    """A label share of 0.24 after 0.83."""
    return read(AIRLINES)[: len(rows)]


@pytest.mark.parametrize(
    ("plant", "reason", "verdict"),
    [
        (inverted, "agreement", "incident"),
        (misjoined, "agreement", "incident"),
        (of_airlines, "label_share", None),
    ],
)
def test_ordinary_months_are_quiet_and_wrong_labels_are_found_in_the_next(
    served: Served, plant: Plant, reason: str, verdict: str | None
) -> None:
    found = [pass_by(served, window, plant) for window in range(ORDINARY, ORDINARY + 2)]

    assert {name for decision in served.ordinary for name in sure(decision)} == set()
    assert reason in sure(found[-1]) or reason in sure(found[0])
    assert verdict is None or verdict in {each.verdict for each in found}
    assert all(each.verdict != "retrain" for each in found)


def test_texts_that_are_cut_off_alarm_although_the_accuracy_rises(served: Served) -> None:
    """Where texts break off, the watch of labels sees nothing; that of the inputs does."""

    def cut(rows: pd.DataFrame) -> pd.DataFrame:
        kept = rows[scored(served.model, rows["text"].str[:200]).round() == rows["label"]]
        return kept.assign(text=kept["text"].str[:200]).reset_index(drop=True)

    found = [pass_by(served, window, cut) for window in range(ORDINARY, ORDINARY + 2)]

    assert "performance" not in sure(found[-1])
    assert any(each.question == "input" and each.level == "alarm" for each in found[-1].signals)


@pytest.mark.parametrize("plant", [inverted, misjoined, None])
def test_a_model_that_learnt_wrong_labels_is_not_promoted(
    fitted: tuple[Pipeline, pd.DataFrame, pd.DataFrame], plant: Plant | None
) -> None:
    """By the gate's own decision, on numbers of real models. Half of the newest reviews are learnt from, the
    other half are test rows, so that wrong labels are in both; right ones are no incident.
    """
    champion, held_out, later = fitted
    newest = plant(later) if plant else later
    learnt, asked = newest[::2], newest[1::2]
    candidate = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=3), LogisticRegression(C=10))
    candidate.fit(learnt["text"], learnt["label"])
    whole = pd.concat([held_out[: len(asked) // 4], asked])
    before, now = (set_score(champion, candidate, rows) for rows in (held_out, asked))
    report = judged.evaluation(
        candidate=right(candidate, whole),
        champion=right(champion, whole),
        sets=judged.sets(now, anchor=judged.anchor(before)),
    )

    decision = decide(report, judged.SPEC.gate, judged.archive(), judged.LOOK)

    failed = {rule.rule for rule in decision.rules if not rule.passed}
    assert ("label_incident" in failed) is (plant is not None)
    assert plant is None or decision.verdict != "promote"
    assert plant is not inverted or report.candidate.metrics[0].value > right(champion, whole) + 0.3


def right(model: Pipeline, rows: pd.DataFrame) -> float:
    return float(accuracy_score(rows["label"], scored(model, rows["text"]) > 0.5))


def set_score(champion: Pipeline, candidate: Pipeline, rows: pd.DataFrame) -> SetScore:
    own = right(champion, rows)
    reach = 1.96 * 0.4 / len(rows) ** 0.5
    return judged.set_score(own, right(candidate, rows) - own, rows=len(rows), width=reach)
