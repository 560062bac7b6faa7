"""The base of every handler: one bad item never fails its batch, and every item has its own status."""

import importlib.util
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tasks.evaluation.health import NOT_FINITE
from tests.conftest import PROJECT


def load_base() -> ModuleType:
    path = PROJECT / "containers" / "torchserve" / "perennial_handler.py"
    spec = importlib.util.spec_from_file_location("perennial_handler", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


base = load_base()


class Half(base.PerennialHandler):  # type: ignore[misc, name-defined]
    """Halves a number; has every fault that a model's code can have."""

    calls = 0

    def load(self, folder: Path) -> None:
        self.folder = folder

    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        type(self).calls += 1
        if instances[0].get("loses_one"):
            return []
        answers = []
        for instance in instances:
            if instance["number"] == 13:
                raise base.BadInstance("Thirteen is not a number here.")
            if instance["number"] == 99:
                return [{"prediction": 1, "score": float("nan")}] * len(instances)
            answers.append({"prediction": int(instance["number"]) // 2, "note": "halved"})
        return answers


class Context:
    def __init__(self, folder: Path) -> None:
        self.manifest = {"model": {"modelVersion": "run7"}}
        self.system_properties = {"model_dir": str(folder), "gpu_id": None}
        self.statuses: dict[int, int] = {}

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self.statuses[idx] = code


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path)


@pytest.fixture
def handler(context: Context) -> Iterator[Half]:
    made = Half()
    made.initialize(context)
    yield made
    logging.disable(logging.NOTSET)


def test_a_whole_batch_is_predicted_in_one_call_and_names_the_version(
    handler: Half, context: Context
) -> None:
    Half.calls = 0

    answers = handler.handle([{"body": {"number": number}} for number in (2, 4, 6)], context)

    assert [answer["prediction"] for answer in answers] == [1, 2, 3]
    assert answers[0] == {"prediction": 1, "score": None, "note": "halved", "archive_version": "run7"}
    assert Half.calls == 1
    assert context.statuses == {}


@pytest.mark.parametrize(
    "body", [b'{"number": 8}', bytearray(b'{"number": 8}'), '{"number": 8}', {"number": 8}]
)
@pytest.mark.parametrize("key", ["body", "data"])
def test_an_instance_comes_as_json_or_parsed(handler: Half, context: Context, key: str, body: Any) -> None:
    assert handler.handle([{key: body}], context)[0]["prediction"] == 4


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", "", b"null", "3", None, 3.5, "NaN", b"[" * 100_000],
    ids=lambda body: repr(body)[:12],
)
def test_rubbish_is_refused_and_its_neighbours_are_answered(
    handler: Half, context: Context, body: Any
) -> None:
    answers = handler.handle([{"body": {"number": 2}}, {"body": body}, {"body": {"number": 4}}], context)

    assert [answers[0]["prediction"], answers[2]["prediction"]] == [1, 2]
    assert context.statuses == {1: 400}
    assert "Send one JSON object" in answers[1]["error"]


def test_a_list_is_answered_with_a_list_and_each_fault_in_its_place(handler: Half, context: Context) -> None:
    together: list[Any] = [{"number": 2}, 7, {"number": 13}, {"number": 99}, {"number": 8}]

    listed, alone = handler.handle([{"body": together}, {"body": {"number": 6}}], context)

    answers = json.loads(listed)
    assert [answer.get("prediction") for answer in answers] == [1, None, None, None, 4]
    assert [answer.get("status") for answer in answers] == [None, 400, 400, 500, None]
    assert answers[1]["error"].startswith("An instance in the list is a JSON int.")
    assert answers[2]["error"] == "Thirteen is not a number here."
    assert (alone["prediction"], context.statuses) == (3, {})


def test_an_empty_list_is_answered_with_one(handler: Half, context: Context) -> None:
    assert handler.handle([{"body": []}], context) == ["[]"]


def test_an_item_without_a_body_is_refused(handler: Half, context: Context) -> None:
    assert "error" in handler.handle([{}], context)[0]
    assert context.statuses == {0: 400}


def test_an_item_that_the_model_refuses_is_told_why_and_alone(handler: Half, context: Context) -> None:
    answers = handler.handle([{"body": {"number": number}} for number in (2, 13, 4)], context)

    assert answers[1] == {"error": "Thirteen is not a number here."}
    assert context.statuses == {1: 400}
    assert answers[2]["prediction"] == 2


@pytest.mark.parametrize("instance", [{}, {"number": "two"}, {"number": [2]}, {"loses_one": True}])
def test_an_item_that_breaks_the_model_gets_its_own_500_without_our_insides(
    handler: Half, context: Context, instance: dict[str, Any]
) -> None:
    answers = handler.handle([{"body": instance}, {"body": {"number": 4}}], context)

    assert context.statuses == {0: 500}
    assert answers[0]["error"].startswith("The model failed on this instance: ")
    assert answers[1]["prediction"] == 2


def test_a_number_that_is_not_finite_is_refused_in_the_words_that_the_evaluation_counts(
    handler: Half, context: Context
) -> None:
    answers = handler.handle([{"body": {"number": 99}}, {"body": {"number": 4}}], context)

    assert context.statuses == {0: 500}
    assert answers[0] == {"error": NOT_FINITE}
    assert answers[1]["prediction"] == 2


def test_an_empty_batch_is_answered_with_nothing(handler: Half, context: Context) -> None:
    assert handler.handle([], context) == []


def test_every_answer_is_json_that_any_reader_takes(handler: Half, context: Context) -> None:
    for answer in handler.handle(
        [{"body": {"number": 2}}, {"body": {"number": 99}}, {"body": b"{"}], context
    ):
        json.dumps(answer, allow_nan=False)


def test_the_model_is_loaded_from_the_unpacked_archive(handler: Half, tmp_path: Path) -> None:
    assert handler.folder == tmp_path


def test_a_handler_without_load_says_what_is_missing(context: Context) -> None:
    with pytest.raises(NotImplementedError, match="lacks load"):
        base.PerennialHandler().initialize(context)
    logging.disable(logging.NOTSET)


def test_the_base_needs_nothing_of_torchserve() -> None:
    text = (PROJECT / "containers" / "torchserve" / "perennial_handler.py").read_text()

    assert "import ts" not in text
    assert "from ts" not in text


def test_a_model_that_does_without_pytorch_does_not_import_it() -> None:
    program = """
import sys
from pathlib import Path
from types import SimpleNamespace
from perennial_handler import PerennialHandler

class Echo(PerennialHandler):
    def load(self, folder):
        assert "torch" not in sys.modules
    def predict(self, instances):
        return [{"prediction": one["number"]} for one in instances]

made = Echo()
manifest = {"model": {"modelVersion": "1"}}
made.initialize(SimpleNamespace(manifest=manifest, system_properties={"model_dir": "."}))
assert made.handle([{"body": {"number": 3}}], None)[0]["prediction"] == 3
assert "torch" not in sys.modules
print(made.device)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT / "containers" / "torchserve",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "cpu\n"), done.stderr


def test_a_model_that_uses_pytorch_predicts_on_one_thread_and_without_gradients(context: Context) -> None:
    import torch

    class Weighs(base.PerennialHandler):
        def load(self, folder: Path) -> None:
            self.weight = torch.ones(1, requires_grad=True)

        def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
            answer = self.weight * 2
            return [{"prediction": answer.requires_grad, "score": torch.get_num_threads()} for _ in instances]

    made = Weighs()
    made.initialize(context)
    logging.disable(logging.NOTSET)
    answer = made.handle([{"body": {}}], context)[0]
    assert (answer["prediction"], answer["score"]) == (False, 1)
