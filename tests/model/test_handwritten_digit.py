"""How the digit model behaves: it reads digits, and knows when it cannot.

It is trained by the steps of its DAG, on what its example_data.py lets land. A worse candidate tries in
tests/system/test_new_models.py.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.evaluation.scoring import Scores
from tests.model.conftest import Loop, ask, example_data
from tests.steps.by_hand import ByHand, Judged

MODEL = "handwritten_digit"
BLANK = "0" * 64
LEVELS = "0123456789abcdefg"


@pytest.fixture(scope="module")
def loop(loop_of: Loop) -> ByHand:
    made = loop_of(MODEL)
    example_data(MODEL, made.home / "landing" / "digits")
    assert made.ingest().published_rows == 1797
    return made


@pytest.fixture(scope="module")
def first(loop: ByHand) -> Judged:
    return loop.train("first")


@pytest.fixture(scope="module")
def tested(first: Judged) -> list[str]:
    """The pixels of 50 digits that it was not trained on."""
    pixels: list[str] = pq.read_table(first.run.snapshot.test.url)["pixels"].to_pylist()[:50]
    return pixels


@pytest.fixture(scope="module")
def answers(
    loop: ByHand, first: Judged, tested: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Scores:
    """To those digits as they are and a little fainter, to a blank image, and to what is no image."""
    fainter = ["".join(LEVELS[int(int(level, 17) * 0.8)] for level in pixels) for pixels in tested]
    asked = [{"pixels": pixels} for pixels in (*tested, *fainter, BLANK, BLANK[:63], "x" * 64, None)]
    return ask(first.archive, loop.spec, asked, tmp_path_factory.mktemp("asked"))


def test_it_is_promoted_because_it_reads_almost_every_digit(first: Judged) -> None:
    found = {metric.name: metric.value for metric in first.evaluation.candidate.metrics}

    assert first.decision.verdict == "promote", first.decision.why
    assert {"serves_as_trained", "prepares_as_trained"} <= {rule.rule for rule in first.decision.rules}
    assert found["accuracy"] > 0.95
    assert found["log_loss"] < 0.2


def test_fainter_ink_is_read_as_the_same_digit(answers: Scores, tested: list[str]) -> None:
    as_it_is, fainter = (answers.predictions[start : start + len(tested)] for start in (0, len(tested)))

    assert np.mean([one == other for one, other in zip(as_it_is, fainter, strict=True)]) > 0.95


def test_a_blank_image_is_read_with_less_certainty_than_a_digit(answers: Scores, tested: list[str]) -> None:
    certainty = [score for score in answers.scores[: len(tested)] if score is not None]

    blank = answers.scores[2 * len(tested)]

    assert blank is not None
    assert blank < np.mean(certainty)


def test_every_class_has_its_probability(answers: Scores) -> None:
    first = answers.answers[0]

    assert sorted(first["scores"]) == list("0123456789")
    assert sum(first["scores"].values()) == pytest.approx(1, abs=1e-9)
    assert first["score"] == first["scores"][first["prediction"]] == max(first["scores"].values())


def test_what_is_no_image_is_refused_alone(answers: Scores, tested: list[str]) -> None:
    bad = range(2 * len(tested) + 1, 2 * len(tested) + 4)

    assert [(refused.row, refused.status) for refused in answers.refused] == [(row, 400) for row in bad]


def test_trained_again_on_rows_that_are_queried_anew_it_is_the_same_bit_for_bit(
    loop: ByHand, first: Judged
) -> None:
    snapshot = first.run.snapshot
    for lost in (snapshot.train.url, snapshot.test.url, first.archive.url):
        Path(lost).unlink()

    found = loop.reproduce(first.archive)

    assert found.verdict == "identical", found.why
    assert (found.tensors, found.answers.rows, found.conditions) == (6, snapshot.test.rows, ())
    assert found.rows_made_again
