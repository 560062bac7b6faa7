"""When two trainings gave the same model, and how it is told where they did not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tasks.contracts import AnswerDifferences, Condition, Surroundings
from tasks.provenance import decide
from tasks.provenance.decide import Answered, Findings, Tensor

HERE = Surroundings(
    python="3.11.2",
    libraries={"torch": "2.13.0+cpu", "numpy": "2.4.6", "pytest": "9.2.0"},
    processor="x86_64, AMD EPYC, avx512f",
    gpu=None,
    threads=1,
)
floats = arrays.arrays(np.float32, 4, elements=st.floats(width=32))


def tensor(values: Any, kind: str = "float32") -> Tensor:
    found = np.asarray(values, dtype=np.float32)
    return Tensor(kind, decide.sha256_of(found.tobytes()), found)


def findings(**changes: Any) -> Findings:
    answers = AnswerDifferences(
        rows=10, predictions=0, max_abs_difference=0.0, same=True, within_tolerance=True
    )
    nothing: dict[str, Any] = dict.fromkeys(("differing", "files", "metrics", "conditions", "operators"), ())
    return Findings(**{"tensors": 3, "answers": answers, **nothing, **changes})


def compare(recorded: Any, here: Any, tolerance: float = 1e-4) -> Any:
    return decide.compare_tensors("w.safetensors", "layer.weight", recorded, here, tolerance)


@given(floats)
def test_a_tensor_equals_itself_whatever_it_holds(values: NDArray[np.float32]) -> None:
    assert compare(tensor(values), tensor(values.copy()), tolerance=0) is None


@given(floats, floats)
def test_tensors_of_other_bytes_differ_and_only_by_numbers_within_the_tolerance_they_are_equivalent(
    recorded: NDArray[np.float32], here: NDArray[np.float32]
) -> None:
    found = compare(tensor(recorded), tensor(here))

    assert (found is None) == (recorded.tobytes() == here.tobytes())
    if found is not None and found.within_tolerance:
        scale = max(1.0, np.abs(recorded[np.isfinite(recorded)]).max(initial=0))
        np.testing.assert_allclose(here.astype(float), recorded.astype(float), rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize(
    ("here", "difference", "within"),
    [
        (tensor([1.00009, 2.0]), pytest.approx(9e-5, abs=1e-6), True),
        (tensor([1.5, 2.0]), 0.5, False),
        (tensor([np.nan, 2.0]), np.inf, False),
        (tensor([1.0, 2.0, 3.0]), None, False),
        (tensor([[1.0, 2.0]]), None, False),
        (tensor([1.0, 2.0], kind="bfloat16"), None, False),
        (None, None, False),
    ],
)
def test_how_far_a_tensor_is_off_is_said_where_that_can_be_said(
    here: Tensor | None, difference: float | None, within: bool
) -> None:
    found = compare(tensor([1.0, 2.0]), here)

    assert (found.max_abs_difference, found.within_tolerance) == (difference, within)
    assert found.recorded_sha256 != found.here_sha256 or here is not None


@pytest.mark.parametrize(("off", "verdict"), [(0.0, "identical"), (9e-5, "equivalent"), (0.5, "different")])
def test_the_verdict_follows_from_the_worst_difference_of_weights_metrics_and_answers(
    off: float, verdict: str
) -> None:
    weight = compare(tensor([1.0]), tensor([1.0 + off]))
    metric = decide.compare_metrics({"r2": 0.4, "rmse": 30.0}, {"r2": 0.4 + off, "rmse": 30.0}, 1e-4)
    numbers = np.array([[0.5], [np.nan]])
    answers = decide.compare_answers(Answered(("1", "0"), numbers), Answered(("1", "0"), numbers + off), 1e-4)

    for change in ({"differing": (weight,) if weight else ()}, {"metrics": metric}, {"answers": answers}):
        assert decide.verdict(findings(**change)) == verdict


def test_a_metric_that_is_defined_on_one_side_only_and_a_file_with_other_bytes_are_different() -> None:
    metrics = decide.compare_metrics({"log_loss": 0.2}, {}, 1.0)
    files = decide.compare_files({"words.json": "a"}, {"words.json": "b", "more.json": "c"})

    assert decide.verdict(findings(metrics=metrics)) == "different"
    assert decide.verdict(findings(files=files)) == "different"
    assert [(each.file, each.recorded_sha256) for each in files] == [("more.json", None), ("words.json", "a")]


def test_a_label_that_changed_is_different_however_close_the_scores() -> None:
    numbers = np.array([[0.50001], [0.2]])

    found = decide.compare_answers(
        Answered(("1", "0"), numbers), Answered(("0", "0"), numbers - 2e-5), tolerance=1e-4
    )

    assert (found.predictions, found.within_tolerance) == (1, False)
    assert decide.verdict(findings(answers=found)) == "different"


def test_of_a_regression_the_rows_are_counted_whose_number_is_off_by_more_than_its_share() -> None:
    recorded, here = np.array([[3000.0], [1.0], [5.0]]), np.array([[3000.2], [1.2], [5.0]])

    found = decide.compare_answers(Answered(None, recorded), Answered(None, here), tolerance=1e-4)

    assert (found.predictions, found.same, found.within_tolerance) == (1, False, False)
    assert found.max_abs_difference == pytest.approx(0.2)


def test_what_changed_of_the_place_is_named_with_both_versions_and_what_only_joined_is_not() -> None:
    libraries = {"torch": "2.14.0+cpu", "numpy": "2.4.6", "rich": "15.0"}
    there = HERE.model_copy(update={"libraries": libraries, "processor": "aarch64, sve", "threads": 4})

    found = decide.compare_surroundings(HERE, there)

    assert found == [
        Condition(name="processor", recorded=HERE.processor, here="aarch64, sve"),
        Condition(name="pytest", recorded="9.2.0", here=None),
        Condition(name="torch", recorded="2.13.0+cpu", here="2.14.0+cpu"),
    ]
    told = decide.sentence(findings(conditions=tuple(found[2:])), 1e-4)
    assert told == (
        "identical: 3 tensors, every metric and the answers to 10 frozen rows are the same, bit for bit. Not "
        "as it was: torch was 2.13.0+cpu and is 2.14.0+cpu."
    )


def test_a_run_of_before_its_place_was_recorded_says_so() -> None:
    [found] = decide.compare_surroundings(None, HERE)

    assert (found.name, found.recorded) == ("libraries and hardware", None)


def test_an_operator_that_torch_calls_nondeterministic_is_named_once() -> None:
    import torch

    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(RuntimeError) as refused:
            torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    finally:
        torch.use_deterministic_algorithms(False)

    operators = decide.nondeterministic_operators([f"RuntimeError: {refused.value}", str(refused.value), ""])

    assert operators == ("put_",)
    weight = compare(tensor([1.0]), tensor([2.0]))
    told = decide.sentence(findings(differing=(weight,), operators=operators), 1e-4)
    assert "torch names operators without a deterministic form: put_." in told
