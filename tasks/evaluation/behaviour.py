"""Run the tests of behaviour.yaml on a packaged archive: the same handler, asked as for the frozen rows."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts import BehaviourResult, FailedCase
from tasks.evaluation.answers import Judged
from tasks.evaluation.expectations import Answer, fault_of
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.score_program import as_json
from tasks.evaluation.scoring import Scores, answer_all
from tasks.spec import BehaviourTest, PipelineSpec, behaviour_cases

SHOWN_CASES = 5
SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Case:
    """What is asked, and what it is changed to."""

    instance: dict[str, Any]
    changed: dict[str, Any] | None


def behave(archive: Path, spec: PipelineSpec, frozen: Frozen, folder: Path) -> tuple[BehaviourResult, ...]:
    """The result of each test; an instance that the handler refuses fails its case.

    Args:
        archive: The candidate's .mar file on this machine.
        folder: For the file of instances.

    Raises:
        InvalidProject: The archive's handler cannot be imported.
        ServingError: The archive cannot be scored.
    """
    if not spec.behaviour:
        return ()
    cases = {test.name: list(_cases(test, spec, frozen)) for test in spec.behaviour}
    instances = [each for found in cases.values() for case in found for each in _asked(case)]
    answers = iter(_answers(archive, instances, spec, frozen, folder))
    return tuple(_result(test, spec, cases[test.name], answers) for test in spec.behaviour)


def _cases(test: BehaviourTest, spec: PipelineSpec, frozen: Frozen) -> Iterator[Case]:
    if test.test_rows is None:
        given = behaviour_cases(test, spec.data, spec.serving)
    else:
        rows = frozen.rows.select(spec.data.features).to_pylist()
        given = (
            (instance, instance | change)
            for row in rows
            for instance in [{name: as_json(value) for name, value in row.items()}]
            for change in test.changed or ({},)
        )
    if test.swap:
        given = ((instance, swapped(instance, test.swap)) for instance, _ in given)
    changing = (Case(*each) for each in given if each[1] is None or each[0] != each[1])
    return changing if test.test_rows is None else islice(changing, test.test_rows)


def swapped(instance: dict[str, Any], pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The instance with the terms of each pair in each other's place, wherever a text has them as words.

    A term of several pairs becomes its partner in the first of them. A capital at the beginning, and capitals
    throughout, stay.
    """
    partners: dict[str, str] = {}
    for first, second in pairs:
        partners.setdefault(first.lower(), second)
        partners.setdefault(second.lower(), first)
    terms = sorted(map(re.escape, partners), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(terms)})(?!\w)", re.IGNORECASE)
    return {
        name: pattern.sub(lambda found: _in_case_of(found[0], partners[found[0].lower()]), value)
        if isinstance(value, str)
        else value
        for name, value in instance.items()
    }


def _in_case_of(written: str, term: str) -> str:
    if len(written) > 1 and written.isupper():
        return term.upper()
    return term[:1].upper() + term[1:] if written[:1].isupper() else term


def _asked(case: Case) -> Iterator[dict[str, Any]]:
    yield case.instance
    if case.changed is not None:
        yield case.changed


def _answers(
    archive: Path, instances: list[dict[str, Any]], spec: PipelineSpec, frozen: Frozen, folder: Path
) -> Iterator[Answer]:
    rows = folder / "behaviour.jsonl"
    rows.write_text("".join(json.dumps(each) + "\n" for each in instances), encoding="utf-8")
    raw = answer_all(archive, rows, spec.data.features, latency_samples=0)
    judged = Judged.of(raw, frozen.target).answers
    refused = {each.row: each.message for each in raw.refused}
    for row, code in enumerate(judged.predictions):
        yield Answer(
            label=raw.predictions[row],
            is_label=bool(np.isfinite(code) if spec.task == "regression" else code != -1),
            number=_number(row, raw, spec),
            by_class=raw.probabilities[row] or {},
            refused=refused.get(row),
        )


def _number(row: int, raw: Scores, spec: PipelineSpec) -> float | None:
    """What a direction and a tolerance look at; None where the answer has none."""
    found: Any = raw.predictions[row] if spec.task == "regression" else raw.scores[row]
    is_number = isinstance(found, int | float) and not isinstance(found, bool) and np.isfinite(found)
    return float(found) if is_number else None


def _result(
    test: BehaviourTest, spec: PipelineSpec, cases: list[Case], answers: Iterator[Answer]
) -> BehaviourResult:
    failed: list[FailedCase] = []
    for case in cases:
        before = next(answers)
        after = None if case.changed is None else next(answers)
        if why := fault_of(test, spec.task, before, after):
            failed.append(FailedCase(instance=_shown(case.instance), changed=_shown(case.changed), why=why))
    return BehaviourResult(
        name=test.name,
        kind=test.kind,
        cases=len(cases),
        passed=len(cases) - len(failed),
        required_share=test.required_share,
        failed=tuple(failed[:SHOWN_CASES]),
    )


def _shown(instance: dict[str, Any] | None) -> str | None:
    if instance is None:
        return None
    cut = {name: _cut(value) if isinstance(value, str) else value for name, value in instance.items()}
    return json.dumps(cut, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
