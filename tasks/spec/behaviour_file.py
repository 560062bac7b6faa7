"""Read behaviour.yaml, and check it against the model's pipeline.yaml."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tasks.errors import InvalidProject
from tasks.spec import strict_yaml
from tasks.spec.base import faults_of
from tasks.spec.behaviour import BehaviourFile, BehaviourTest
from tasks.spec.data import DataSpec
from tasks.spec.features import typed_numbers
from tasks.spec.json_schema import fault_of_value
from tasks.spec.labels import declared_classes, label_text
from tasks.spec.metrics import Task
from tasks.spec.serving import ServingSpec

NAME = "behaviour.yaml"


def read_behaviour(path: Path, task: Task, data: DataSpec, serving: ServingSpec) -> tuple[BehaviourTest, ...]:
    """The tests of the file; none where there is no file.

    Raises:
        InvalidProject: The file cannot be read, breaks its schema, or asks what the model cannot be asked.
    """
    if not path.exists():
        return ()
    try:
        document = strict_yaml.loads(path.read_text(encoding="utf-8"))
        tests = BehaviourFile.model_validate(document).tests
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidProject(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        faults = faults_of(error, BehaviourFile)
        raise InvalidProject(f"{path}: {'; '.join(faults)}. Correct these fields.", faults=faults) from error
    faults = [f"{test.name}: {fault}" for test in tests for fault in _faults(test, task, data, serving)]
    if faults:
        raise InvalidProject(f"{path}: {'; '.join(faults)}. Correct these tests.", faults=faults)
    return tests


def cases_of(
    test: BehaviourTest, data: DataSpec, serving: ServingSpec
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each case's whole instance and, where `changed` says so, what it becomes."""
    for instance, change in test.filled():
        whole = serving.input_example | instance
        changed = None if change is None else whole | change
        yield _typed(whole, data), None if changed is None else _typed(changed, data)


def _typed(instance: dict[str, Any], data: DataSpec) -> dict[str, Any]:
    return instance | typed_numbers(instance, data)


def _faults(test: BehaviourTest, task: Task, data: DataSpec, serving: ServingSpec) -> Iterator[str]:
    named = {name for part in (*test.instances, *test.changed) for name in part}
    if unknown := sorted(named - set(data.features)):
        yield f"{', '.join(unknown)} is none of data.features {sorted(data.features)}"
        return
    if test.swap and "string" not in data.feature_types.values():
        yield "swap is of texts, and no feature is one"
    yield from _faults_of_instances(test, data, serving)
    yield from _faults_of_task(test, task, serving)


def _faults_of_instances(test: BehaviourTest, data: DataSpec, serving: ServingSpec) -> Iterator[str]:
    """The first instance that the gateway would refuse."""
    for number, case in enumerate(cases_of(test, data, serving), start=1):
        for instance in filter(None, case):
            error = fault_of_value(instance, serving.input_schema)
            if error is not None:
                where = "".join(f"{part}: " for part in error.absolute_path)
                yield f"its case {number} breaks serving.input_schema: {where}{error.message}"
                return


def _faults_of_task(test: BehaviourTest, task: Task, serving: ServingSpec) -> Iterator[str]:
    if task == "regression":
        if test.answer is not None:
            yield "a regression answers numbers; say at_least and at_most in place of answer"
        if test.kind == "invariance" and test.tolerance is None:
            yield "a number hardly stays the same; say how far it may move by tolerance"
    elif test.at_least is not None or test.at_most is not None:
        yield "at_least and at_most are of a regression; say the label by answer"
    labels = declared_classes(serving.label_schema)
    if task != "regression" and labels is not None and test.answer is not None and test.answer not in labels:
        yield f"answer {test.answer!r} is none of the labels {', '.join(map(repr, labels))}"
    looks_at_scores = test.direction is not None or test.tolerance is not None
    if (test.of is not None) != (task == "multiclass" and looks_at_scores):
        yield "of, the class whose probability moves, belongs to direction and tolerance of multiclass"
    elif test.of is not None and labels is not None and test.of not in map(label_text, labels):
        yield f"of {test.of!r} is none of the labels {', '.join(map(label_text, labels))}"
