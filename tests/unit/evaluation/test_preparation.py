"""What a network is given, divided into rows and compared bit by bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.evaluation.preparation.compare import compare, tell
from tasks.evaluation.preparation.inputs import CannotCompare, Inputs, by_row
from tasks.evaluation.preparation.kept_code import fetch_code, keep_code
from tasks.evaluation.preparation.served_program import Watch
from tasks.evaluation.preparation.trained_program import as_pandas_had_it, prepare_all
from tests.unit import judged


def side(*rows: dict[str, Any], **more: Any) -> Inputs:
    arrays = [{name: np.asarray(value) for name, value in row.items()} for row in rows]
    return Inputs(rows=dict(enumerate(arrays)), **more)


@pytest.mark.parametrize(
    ("trained", "served", "said"),
    [
        (
            {"x": np.float32([1, 2])},
            {"x": np.float32([1, 2.0000002])},
            "input x[1]: 2.0000002 when it serves, 2.0",
        ),
        ({"x": np.float32([1])}, {"x": np.float64([1])}, "input x: of type float64 when it serves"),
        (
            {"x": np.int64([1, 2])},
            {"x": np.int64([1])},
            "of shape (1,) when it serves, of shape (2,)",
        ),
        ({"x": 1, "y": 2}, {"x": 1}, "input y: not given when it serves, given as trained"),
        ({"x": 1}, {"x": 1, "z": 2}, "input z: given when it serves, not given as trained"),
        ({"x": "a b"}, {"x": "A b"}, "input x: A b when it serves, a b as trained"),
    ],
)
def test_the_first_difference_is_named(trained: dict[str, Any], served: dict[str, Any], said: str) -> None:
    found = compare(side({"x": 0}, trained), side({"x": 0}, served), ["id a", "id b"])

    assert (found.rows, found.differing) == (2, 1)
    assert "row id b" in tell(found)
    assert said in tell(found)


def test_the_same_bits_are_no_difference_whatever_they_mean() -> None:
    row = {"x": np.float32([np.nan, -0.0]), "words": np.array(["a", "longer"])}
    also = {"x": np.float32([np.nan, -0.0]), "words": np.array(["a", "longer"], dtype="U20")}

    assert compare(side(row), side(also), ["a"]).differing == 0
    assert compare(side({"x": np.float32(0.0)}), side({"x": np.float32(-0.0)}), ["a"]).differing == 1


def test_inputs_of_another_module_are_no_difference_but_cannot_be_compared() -> None:
    found = compare(side({"words": 1, "numbers": 2}), side({"input": 1}), ["a"])

    assert (found.rows, found.differing) == (0, 0)
    assert "gives ['numbers', 'words'], and the first PyTorch module that the handler calls" in tell(found)


def test_a_row_that_both_refuse_is_no_difference_and_one_that_one_refuses_is() -> None:
    refusing = Inputs(refused={0: "no text"})

    assert compare(refusing, refusing, ["a"]).differing == 0
    said = tell(compare(side({"x": 1}), refusing, ["a"]))
    assert "row a: refused (no text) when it serves, prepared as trained" in said


def test_inputs_of_every_kind_are_divided_by_the_row_and_kept_as_they_are(tmp_path: Path) -> None:
    import torch

    given = {
        "ids": torch.tensor([[1, 2], [3, 4]]),
        "half": torch.tensor([1.5, 2.5], dtype=torch.bfloat16, requires_grad=True),
        "texts": [np.array([1]), np.array([2, 3])],
        "nested": {"mask": torch.ones(2, dtype=torch.bool)},
        "scale": 3.0,
        "none": None,
    }

    inputs = Inputs(rows=dict(enumerate(by_row(given))), answers={0: {"score": 1}}, refused={5: "why"})
    inputs.save(tmp_path / "kept.npz")
    read = Inputs.load(tmp_path / "kept.npz")

    assert sorted(read.rows[1]) == ["half", "ids", "nested.mask", "texts"]
    assert read.rows[1]["texts"].tolist() == [2, 3]
    assert (read.answers, read.refused) == (inputs.answers, inputs.refused)
    assert compare(inputs, read, ["a", "b"]).differing == 0


def test_inputs_that_are_not_by_the_row_are_named() -> None:
    with pytest.raises(CannotCompare, match="'table' has 3 entries, and 'ids' has 2"):
        by_row({"ids": [1, 2], "table": [1, 2, 3]})
    with pytest.raises(CannotCompare, match="holds set, which is no array"):
        by_row({"ids": [{1}, {2}]})


def test_only_the_network_is_watched_and_not_the_layers_inside() -> None:
    import torch

    network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU())

    with Watch().watching(torch) as calls:
        network(torch.ones(2, 1))
        network(input=torch.zeros(1, 1))
        torch.nn.Linear(1, 1)(torch.ones(7, 1))
    network(torch.ones(9, 1))

    assert [len(call["input"]) for call in calls] == [2, 1]


def test_a_row_that_the_training_cannot_prepare_does_not_hide_the_others() -> None:
    rows = pd.DataFrame({"number": [1, 0, 4]})

    found = prepare_all(lambda _, frame: {"x": [8 // n for n in frame["number"]]}, Path(), [3, 5, 9], rows)

    assert {row: int(fields["x"]) for row, fields in found.rows.items()} == {3: 8, 9: 2}
    assert found.refused == {5: "ZeroDivisionError: integer division or modulo by zero"}


def test_a_column_that_had_nulls_in_training_is_read_as_it_was_then() -> None:
    rows = pd.DataFrame({"pieces": [3], "express": [True], "flight": [7], "text": ["a"]})

    typed = as_pandas_had_it(rows, ["pieces", "express", "text"])

    assert [str(value) for value in typed.iloc[0]] == ["3.0", "True", "7", "a"]


def test_the_code_is_kept_as_it_was_when_it_ran(tmp_path: Path) -> None:
    program = tmp_path / "models" / "m" / "inner" / "part.py"
    program.parent.mkdir(parents=True)
    program.write_text("then")
    for left_out in (".hidden", "__pycache__"):
        (tmp_path / "models" / "m" / left_out).mkdir()
        (tmp_path / "models" / "m" / left_out / "x.py").touch()
    run = judged.run(model="m", model_files_url=str(tmp_path / "run" / "model"))

    assert fetch_code(run, tmp_path / "none") is None
    keep_code(tmp_path / "models", "m", str(tmp_path / "run"))
    program.write_text("now")

    code = fetch_code(run, tmp_path / "copy")
    assert code is not None
    assert [path.read_text() for path in code.rglob("*.py")] == ["then"]
