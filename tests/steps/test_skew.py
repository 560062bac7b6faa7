"""Logged requests replayed through a training's own code and through the archive, in real processes."""

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts import Archive, Signal, Skew, TrainingRun
from tasks.evaluation.preparation.candidate import preparation_of
from tasks.evaluation.preparation.inputs import Inputs
from tasks.gate.rules.preparation import prepares_as_trained
from tasks.monitoring.skew.look import look
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.steps.replayed import FEATURES, HANDLER, NAME, TRAIN, instances, run_training_once, trained
from tests.unit.monitoring.traffic import DAY, START

WINDOW = (START, START + DAY)
LINEAR = (0.3, -0.2, 0.1)

FAULTS = {
    "lower-casing is forgotten": ("features", "text.lower().split()", "text.split()", "words[0]"),
    "categories are in another order": ("features", '"north", "east"', '"east", "north"', "regions"),
    "a null is another number": ("features", "-1.0 if missing", "0.0 if missing", "numbers[1]"),
    "numbers are of another type": ("handler", "numbers=numbers)", "numbers=numbers.double())", "numbers"),
    "a number is rounded too early": (
        "features",
        "np.log1p(weight)",
        "np.log1p(np.float32(weight))",
        "numbers[1]",
    ),
    "two values are exchanged": (
        "handler",
        "words = [",
        "instances = [{**a, 'pieces': a.get('weight', 0), 'weight': a['pieces']} for a in instances]\n"
        "        words = [",
        "numbers",
    ),
}


def broken(name: str) -> dict[str, str]:
    """The text of the file that the archive has in place of the right one."""
    file, right, wrong, _ = FAULTS[name]
    text = {"features": FEATURES, "handler": HANDLER}[file]
    assert right in text
    return {f"served_{file}": text.replace(right, wrong)}


def dumped(value: Any) -> str | None:
    """None stands for a value that was not logged."""
    return None if value is None else json.dumps(value)


def log(answers: list[dict[str, Any]], asked: list[Any] | None = None, run: str = "r") -> None:
    """Let these requests have been answered in the window."""
    asked = instances() if asked is None else asked
    assert len(asked) == len(answers)
    logged = pa.table(
        {
            "sequence": list(range(len(asked))),
            "prediction_id": [f"q{number}" for number in range(len(asked))],
            "predicted_at": pa.array([START + timedelta(hours=1)] * len(asked), pa.timestamp("us", "UTC")),
            "run_id": [run] * len(asked),
            "request": pa.array([dumped(instance) for instance in asked], pa.string()),
            "prediction": pa.array([dumped(answer["prediction"]) for answer in answers], pa.string()),
            "score": [answer["score"] for answer in answers],
        }
    )
    Lake().append(f"{NAME}__predictions", logged, batch_id=f"{run}-{len(asked)}")


def answers() -> list[dict[str, Any]]:
    """What the right model answers to `instances()`."""
    found = []
    for one in instances():
        region = {"north": 0, "east": 1, "south": 2}.get(one["region"], -1)
        weight = math.log1p(one["weight"]) if "weight" in one else -1.0
        inputs = (len(one["text"].split()) + region, math.log1p(one["pieces"]), weight)
        score = 1 / (1 + math.exp(-sum(factor * value for factor, value in zip(LINEAR, inputs, strict=True))))
        found.append({"prediction": int(score > 0.5), "score": score})
    return found


def looked(home: Path, spec: PipelineSpec, run: TrainingRun, archive: Archive) -> tuple[Signal, ...]:
    return look(spec, run, archive, WINDOW, str(home / "work"))


def test_a_handler_that_prepares_as_the_training_did_is_quiet_and_a_changed_archive_is_not(
    home: Path,
) -> None:
    spec, run, archive = trained(home)
    log(answers(), run=run.run_id)
    log([{"prediction": 0, "score": 0.0}], [instances()[0]], run="of another version")

    assert looked(home, spec, run, archive) == ()
    kept = Skew.model_validate_json((home / "work" / "skew.json").read_text())
    assert kept.preparation is not None
    assert (kept.preparation.rows, len(kept.answers)) == (40, 40)

    Path(archive.url).write_bytes(b"other bytes")
    [changed] = looked(home, spec, run, archive)
    assert (changed.level, changed.reason) == ("incident", "archive_changed")


@pytest.fixture(scope="module")
def as_trained() -> list[Inputs]:
    """What the training gives to its network, once a test has asked: the faults are the archives' alone."""
    return []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_handler_that_prepares_otherwise_is_an_incident_that_names_the_input(
    home: Path, as_trained: list[Inputs], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    run_training_once(monkeypatch, as_trained)
    spec, run, archive = trained(home, **broken(fault))
    log(answers(), run=run.run_id)

    signal = looked(home, spec, run, archive)[0]

    assert (signal.question, signal.level, signal.reason) == ("skew", "incident", "preparation_differs")
    assert signal.subject.startswith(FAULTS[fault][-1])
    assert signal.value is not None
    assert "row prediction q" in signal.why
    assert f"input {FAULTS[fault][-1]}" in signal.why


def test_a_candidate_that_prepares_otherwise_is_rejected_by_name(home: Path) -> None:
    spec, run, archive = trained(home, **broken("two values are exchanged"))

    found = preparation_of(spec, run, Path(archive.url))

    assert found is not None
    rule = prepares_as_trained(found)
    assert (rule.passed, rule.blocks, rule.value) == (False, "reject", found.differing)
    assert "row id p" in rule.why


def test_a_preparation_by_pythons_own_hashes_is_another_in_each_process(home: Path) -> None:
    """The same text of the same file on both sides."""
    hashing = FEATURES.replace("sum(map(ord, word)) % 97", "hash(word)")
    spec, run, archive = trained(home, features=hashing)
    log(answers(), run=run.run_id)

    [signal] = looked(home, spec, run, archive)

    assert (signal.reason, signal.value) == ("preparation_differs", 40)


def test_what_serving_refuses_and_the_training_learned_from_is_named(home: Path) -> None:
    refusing = HANDLER.replace('a.get("weight")', 'float(a["weight"])')
    spec, run, archive = trained(home, served_handler=refusing)
    log(answers(), run=run.run_id)

    prepared, answered = looked(home, spec, run, archive)

    assert "refused (" in prepared.why
    assert (prepared.value, answered.reason, answered.value) == (8, "answer_differs", 8)


def test_other_answers_than_were_logged_say_that_something_else_serves(home: Path) -> None:
    spec, run, archive = trained(home)
    served = answers()
    served[7] = {"prediction": 1, "score": 0.99}
    log(served, run=run.run_id)

    [signal] = looked(home, spec, run, archive)

    assert (signal.level, signal.reason, signal.subject) == ("incident", "answer_differs", "q7")
    assert (signal.value, signal.threshold) == (1, 0)


def test_where_nothing_can_be_compared_a_note_says_why(home: Path) -> None:
    """No function, a program that cannot be imported, and a handler that calls no network."""
    silent = HANDLER.replace("self.model(", "self.model.forward(")
    causes = {
        "preparation_not_declared": {"train": "import torch"},
        "the training program cannot be imported: ModuleNotFoundError": {"train": f"import gone\n{TRAIN}"},
        "the first PyTorch module that the handler calls is given ['input']": {"served_handler": silent},
    }
    for number, (cause, texts) in enumerate(causes.items()):
        spec, run, archive = trained(home / str(number), **texts)
        if not number:
            log(answers(), run=run.run_id)
        [note] = looked(home, spec, run, archive)
        assert note.level == "note"
        assert cause in f"{note.reason}: {note.why}"


def test_requests_that_were_not_logged_whole_are_left_out(home: Path) -> None:
    spec, run, archive = trained(home)
    log([{"prediction": None, "score": 0.5}, *answers()[1:]], [*instances()[:-1], None], run=run.run_id)

    assert looked(home, spec, run, archive) == ()
    kept = Skew.model_validate_json((home / "work" / "skew.json").read_text())
    assert len(kept.answers) == 38


def columns_changed(spec: PipelineSpec, **columns: Any) -> PipelineSpec:
    data = spec.data.model_copy(
        update={
            "columns": {**spec.data.columns, **columns},
            "features": tuple(dict.fromkeys([*spec.data.features, *columns])),
        }
    )
    return spec.model_copy(update={"data": data})


@pytest.mark.parametrize(
    ("columns", "pieces", "said"),
    [
        ({"pieces": "string"}, "many", "have other types than when the version that serves was trained"),
        ({"pieces": "float64"}, 2.5, "have other types than when the version that serves was trained"),
        ({"colour": "string"}, 2, "has no column colour"),
        ({}, "many", "None of the 40 requests"),
        (None, 2, "model.mar"),
    ],
)
def test_a_replay_that_cannot_begin_is_a_note(
    home: Path, columns: dict[str, Any] | None, pieces: Any, said: str
) -> None:
    spec, run, archive = trained(home)
    log(answers(), [{**one, "pieces": pieces} for one in instances()], run=run.run_id)
    if columns is None:
        archive = archive.model_copy(update={"url": str(home / "gone" / "model.mar")})

    [note] = looked(home, columns_changed(spec, **columns or {}), run, archive)

    assert (note.level, note.reason) == ("note", "replay_failed")
    assert said in note.why
