"""What nothing has confirmed is no test row, and no later batch changes the anchor."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.contracts import DataSnapshot
from tasks.evaluation.sets import Known, Sets, anchor_of, divide
from tasks.spec import PipelineSpec
from tasks.stores.parts import read_part
from tests.unit import judged
from tests.unit.judged import part

SPEC = judged.SPEC
FIRST, SECOND = range(100), range(100, 150)
"""The numbers of the rows that the champion's snapshot has, and of those that came after it."""


def rows(numbers: Any, *, label: int | None = None) -> pa.Table:
    labels = [number % 2 if label is None else label for number in numbers]
    texts = [f"film {number}" for number in numbers]
    ids = [f"r{number:04d}" for number in numbers]
    return pa.table({"review_id": ids, "source": ["imdb"] * len(ids), "text": texts, "label": labels})


def snapshot(folder: Path, test: pa.Table, aged: pa.Table | None = None) -> DataSnapshot:
    train = part(folder, "train", rows(range(1000, 1050)))
    parts = {"train": train, "validation": train, "test": part(folder, "test", test)}
    old = None if aged is None else part(folder, "aged", aged)
    return judged.snapshot().model_copy(update={**parts, "aged": old})


def divided(spec: PipelineSpec, taken: DataSnapshot, known: Known, folder: Path) -> Sets:
    (folder / "scratch").mkdir(exist_ok=True)
    return divide(spec, taken, known, folder / "scratch")


def champion(folder: Path) -> Known:
    own = snapshot(folder / "champion", rows(FIRST))
    return Known(own, own.test)


def kept(sets: Sets, taken: DataSnapshot, known: Known, folder: Path) -> pa.Table:
    return read_part(anchor_of(sets, taken, known, str(folder / "work")))


def numbers(sets: Sets, mask: Any) -> list[int]:
    ids = sets.frozen.rows["review_id"].filter(pa.array(mask)).to_pylist()
    return sorted(int(key[1:]) for key in ids)


def test_a_first_model_is_judged_on_every_row_and_leaves_them_as_the_anchor(tmp_path: Path) -> None:
    taken = snapshot(tmp_path, rows(FIRST))

    sets = divided(SPEC, taken, Known(), tmp_path)

    assert sets.test.all()
    assert (sets.newest, sets.anchor) == (None, None)
    assert anchor_of(sets, taken, Known(), "unused") == taken.test


def test_rows_of_a_later_batch_are_no_test_rows_until_they_are_old_or_called_right(tmp_path: Path) -> None:
    test, known = rows([*FIRST, *SECOND]), champion(tmp_path)
    taken = snapshot(tmp_path, test, aged=rows(SECOND[:10]))

    sets = divided(SPEC, taken, known, tmp_path)
    called_right = divided(SPEC, taken, Known(known.snapshot, None, taken.test), tmp_path)

    assert numbers(sets, sets.test) == [*FIRST, *SECOND[:10]]
    assert numbers(sets, sets.unconfirmed) == [*SECOND[10:]]
    assert numbers(sets, sets.newest) == numbers(sets, sets.suspect) == [*SECOND]
    assert numbers(sets, sets.anchor) == [*FIRST, *SECOND[:10]]
    assert sets.added_rows == 10
    assert kept(sets, taken, known, tmp_path).equals(rows([*FIRST, *SECOND[:10]]))
    assert called_right.test.all()
    assert called_right.suspect is not None
    assert not called_right.suspect.any()
    assert numbers(called_right, called_right.newest) == [*SECOND]
    assert called_right.anchor is None


def test_a_batch_that_says_otherwise_of_the_anchors_rows_changes_none_of_them(tmp_path: Path) -> None:
    """Every row lands again with the opposite label, and stays so until it is old."""
    turned = pc.subtract(1, rows(FIRST)["label"])
    test = rows(FIRST).set_column(3, "label", turned)
    taken, known = snapshot(tmp_path, test, aged=test), champion(tmp_path)

    sets = divided(SPEC, taken, known, tmp_path)

    assert sets.anchor is not None
    assert sets.frozen.where(sets.anchor).rows.equals(rows(FIRST))
    assert sets.frozen.where(sets.test).rows.equals(test)
    assert anchor_of(sets, taken, known, "unused") == known.anchor


def test_no_row_that_the_candidate_was_trained_on_is_scored_as_one_of_the_anchor(tmp_path: Path) -> None:
    known = champion(tmp_path)
    taken = snapshot(tmp_path, rows(FIRST[50:]))
    train = part(tmp_path, "more_train", rows(FIRST[:50]))

    sets = divided(SPEC, taken.model_copy(update={"train": train}), known, tmp_path)

    assert numbers(sets, sets.anchor) == [*FIRST[50:]]
    assert anchor_of(sets, taken, known, "unused") == known.anchor


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda table: table.drop_columns("source"), "frozen before the query gave 'source'"),
        (lambda table: table.set_column(1, "source", pa.array([{"name": "imdb"}] * 100)), "other types than"),
        (lambda table: table.set_column(3, "label", pa.array([7] * 100)), "does not name"),
    ],
)
def test_an_anchor_that_cannot_be_scored_any_more_is_told_so_and_begins_anew(
    tmp_path: Path, changed: Any, said: str
) -> None:
    anchor = part(tmp_path, "anchor", changed(rows(FIRST)))
    known = Known(champion(tmp_path).snapshot, anchor)
    taken = snapshot(tmp_path, rows(FIRST))

    sets = divided(SPEC, taken, known, tmp_path)

    assert sets.anchor is None
    assert sets.unusable is not None
    assert said in sets.unusable
    assert anchor_of(sets, taken, known, "unused") == taken.test
