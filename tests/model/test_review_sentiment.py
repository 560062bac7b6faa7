"""How the review model behaves: what must not matter does
not, what must matter does, and plain cases are right.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.evaluation.scoring import Scores
from tasks.spec import PipelineSpec
from tests.conftest import PROJECT
from tests.model.conftest import Packaged, example_data, package, run_training, write_parts

SPEC = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
SAME = [
    ("Anna was wonderful in this film.", "Tom was wonderful in this film."),
    ("A dull and boring evening.", "A DULL and BORING evening."),
    ("A dull and<br /><br />boring evening.", "A dull and boring evening."),
    ("A dull\n\n and \t boring evening.", "A dull and boring evening."),
    ("It wasn't good.", "It wasn\u2019t good."),
]
BETTER_AND_WORSE = [
    ("The acting was excellent.", "The acting was awful."),
    ("A great story.", "A great story, but a complete waste of time."),
    ("I liked it.", "I did not like it at all."),
    ("Worth seeing.", "Not worth seeing."),
    ("The best film of the year.", "The worst film of the year."),
]
PLAIN = {
    "A wonderful, moving film with superb acting.": 1,
    "One of the best movies I have ever seen.": 1,
    "Perfect. I loved every minute.": 1,
    "A boring, predictable mess with terrible acting.": 0,
    "The worst movie I have ever seen.": 0,
    "Awful. A waste of time and money.": 0,
}
SAY_NOTHING = [
    "",
    " ",
    "?",
    "\U0001f600\U0001f600",
    "1234567890123",
    "\u4e00\u90e8\u597d\u7535\u5f71",
    "\x00",
]
EXTREME = ["good " * 4000, "x" * 20_000, "<" * 5000, "don't " * 3000]


@pytest.fixture(scope="module")
def model(tracking: Path, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """Trained with its defaults on the 25,000 IMDB reviews."""
    work = tmp_path_factory.mktemp("review_sentiment")
    write_parts(SPEC, example_data(SPEC.name, work / "landing"), work / "data")
    run_training(SPEC.name, [["--data", str(work / "data"), "--output", str(work / "files")]], tracking)
    return package(SPEC, work / "files", work / "data", work)


PAIRS = [text for pair in (*SAME, *BETTER_AND_WORSE) for text in pair]
TEXTS = [*PAIRS, *PLAIN, *SAY_NOTHING, *EXTREME]
BAD: list[dict[str, Any]] = [{}, {"text": None}, {"text": 3}, {"text": ["good"]}]


@pytest.fixture(scope="module")
def answers(model: Packaged) -> Scores:
    """To every text that the tests below name, and then to instances without one between two of them."""
    between = [{"text": "A great story."}, *BAD, {"text": "The acting was awful."}]
    return model.ask(*({"text": text} for text in TEXTS), *between)


@pytest.fixture(scope="module")
def score_of(answers: Scores) -> dict[str, float]:
    """The probability of "positive" of every text."""
    scores = answers.scores[: len(TEXTS)]
    return {text: value for text, value in zip(TEXTS, scores, strict=True) if value is not None}


def accuracy(scores: Scores, labels: list[int]) -> float:
    return sum(said == label for said, label in zip(scores.predictions, labels, strict=True)) / len(labels)


def test_it_beats_tfidf_with_logistic_regression_where_it_was_trained_and_where_it_was_not(
    model: Packaged,
) -> None:
    """The baseline, uni- and bigrams, has 0.9075 on these
    test rows and 0.735 carried over to Rotten Tomatoes.
    """
    test = model.part("test")
    elsewhere = example_data(SPEC.name, model.work / "elsewhere", "--source", "rotten_tomatoes")

    at_home, abroad = model.ask_rows(pd.concat([test, elsewhere])).split(len(test))

    assert accuracy(at_home, test["label"].tolist()) > 0.91
    assert accuracy(abroad, elsewhere["label"].tolist()) > 0.75
    assert model.archive.stat().st_size < 50_000_000


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_must_not_matter_does_not(score_of: dict[str, float], one: str, other: str) -> None:
    assert score_of[one] == pytest.approx(score_of[other], abs=0.05)


@pytest.mark.parametrize(("better", "worse"), BETTER_AND_WORSE)
def test_what_must_matter_moves_the_score_its_way(
    score_of: dict[str, float], better: str, worse: str
) -> None:
    assert score_of[better] > score_of[worse] + 0.1


@pytest.mark.parametrize(("text", "label"), PLAIN.items())
def test_plain_cases_are_right(score_of: dict[str, float], text: str, label: int) -> None:
    assert (score_of[text] > 0.5) == bool(label)


def test_any_text_is_answered_and_what_says_nothing_leaves_it_undecided(score_of: dict[str, float]) -> None:
    assert all(0.2 < score_of[text] < 0.8 for text in SAY_NOTHING)
    assert all(0 <= score_of[text] <= 1 for text in EXTREME)


def test_an_instance_without_a_text_is_refused_alone_and_its_neighbours_score_as_ever(
    answers: Scores, score_of: dict[str, float]
) -> None:
    first = len(TEXTS)

    assert answers.predictions[first:] == (1, None, None, None, None, 0)
    assert [(refused.row, refused.status) for refused in answers.refused] == [
        (first + row, 400) for row in (1, 2, 3, 4)
    ]
    assert answers.scores[first] == pytest.approx(score_of["A great story."], abs=1e-6)
