"""Run the tests of behaviour.yaml on a packaged archive: the same handler, asked as for the frozen rows."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import BehaviourResult, FailedCase, PassedByChampion
from tasks.evaluation.answers import Judged
from tasks.evaluation.expectations import Answer, fault_of
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.score_program import as_json
from tasks.evaluation.scoring import Scores, answer_all
from tasks.evaluation.shares import difference, measure
from tasks.spec import BehaviourTest, PipelineSpec, behaviour_cases

SHOWN_CASES = 5
SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Case:
    """What is asked, and what it is changed to."""

    instance: dict[str, Any]
    changed: dict[str, Any] | None


@dataclass(frozen=True)
class Outcome:
    """What became of a case: why it failed, None where it passed; and whether the handler refused it."""

    fault: str | None
    refused: bool


Outcomes = dict[str, list[Outcome]]


def behave(
    archive: Path, spec: PipelineSpec, frozen: Frozen, folder: Path, champion: Path | None = None
) -> tuple[BehaviourResult, ...]:
    """The result of each test; an instance that the handler refuses fails its case.

    The champion is asked the cases of test rows of which the candidate fails too many.

    Args:
        archive: The candidate's .mar file on this machine.
        folder: For the file of instances.
        champion: That of what serves; None for a first model.

    Raises:
        InvalidProject: The archive's handler cannot be imported.
        ServingError: The archive cannot be scored.
    """
    if not spec.behaviour:
        return ()
    cases = {test.name: list(cases_of(test, spec, frozen)) for test in spec.behaviour}
    found = _outcomes(archive, spec.behaviour, cases, spec, frozen, folder)
    short = [test for test in spec.behaviour if test.test_rows and _is_short(test, found[test.name])]
    beside: Outcomes = {}
    if champion is not None and short:
        same = champion == archive
        beside = found if same else _outcomes(champion, short, cases, spec, frozen, folder)
    return tuple(
        _result(test, cases[test.name], found[test.name], beside.get(test.name, []) if test in short else [])
        for test in spec.behaviour
    )


def behave_deployed(
    ask: Callable[[dict[str, Any]], Answer], spec: PipelineSpec, frozen: Frozen
) -> tuple[BehaviourResult, ...]:
    """The result of each test, of a version that is asked one instance at a time where it is deployed."""
    results = []
    for test in spec.behaviour:
        cases = list(cases_of(test, spec, frozen))
        answers = (ask(instance) for case in cases for instance in _asked(case))
        results.append(_result(test, cases, [_outcome(test, spec, case, answers) for case in cases], []))
    return tuple(results)


def _is_short(test: BehaviourTest, found: list[Outcome]) -> bool:
    return bool(found) and float(_passed(found).mean()) < test.required_share


def _passed(found: list[Outcome]) -> NDArray[np.bool_]:
    return np.array([each.fault is None for each in found], dtype=np.bool_)


def _outcomes(
    archive: Path,
    tests: Sequence[BehaviourTest],
    cases: Mapping[str, list[Case]],
    spec: PipelineSpec,
    frozen: Frozen,
    folder: Path,
) -> Outcomes:
    """What became of each case of some tests, asked in one go."""
    instances = [each for test in tests for case in cases[test.name] for each in _asked(case)]
    answers = iter(_answers(archive, instances, spec, frozen, folder))
    return {test.name: [_outcome(test, spec, case, answers) for case in cases[test.name]] for test in tests}


def _outcome(test: BehaviourTest, spec: PipelineSpec, case: Case, answers: Iterator[Answer]) -> Outcome:
    before = next(answers)
    after = None if case.changed is None else next(answers)
    refused = any(each is not None and each.refused is not None for each in (before, after))
    return Outcome(fault_of(test, spec.task, before, after), refused)


def cases_of(test: BehaviourTest, spec: PipelineSpec, frozen: Frozen) -> Iterator[Case]:
    """What a test asks: the instances of its file, or the test rows that it looks at."""
    if test.test_rows is None:
        given = behaviour_cases(test, spec.data, spec.serving)
    else:
        given = (
            (instance, instance | change)
            for instance in _in_order_of_hash(frozen, spec)
            for change in test.changed or ({},)
        )
    if test.swap:
        given = ((instance, swapped(instance, test.swap)) for instance, _ in given)
    changing = (Case(*each) for each in given if each[1] is None or each[0] != each[1])
    return changing if test.test_rows is None else islice(changing, test.test_rows)


def _in_order_of_hash(frozen: Frozen, spec: PipelineSpec) -> list[dict[str, Any]]:
    """The test rows' features. The first so many are a random sample of them, which stays nearly the same one
    when rows join: a row that joins takes another's place only where its own hash is smaller. Rows that are
    alike are drawn each for itself, so that many of one kind are as many of the sample, and never all of it.
    """
    rows = frozen.rows.select(spec.data.features).to_pylist()
    instances = [{name: as_json(value) for name, value in row.items()} for row in rows]
    alike: Counter[str] = Counter()
    drawn = []
    for instance in instances:
        text = json.dumps(instance, sort_keys=True, default=str)
        alike[text] += 1
        drawn.append((hashlib.sha256(f"{alike[text]} {text}".encode()).digest(), instance))
    return [instance for _, instance in sorted(drawn, key=itemgetter(0))]


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
    test: BehaviourTest, cases: list[Case], found: list[Outcome], champion: list[Outcome]
) -> BehaviourResult:
    failed = [
        FailedCase(instance=_shown(case.instance), changed=_shown(case.changed), why=outcome.fault)
        for case, outcome in zip(cases, found, strict=True)
        if outcome.fault is not None
    ]
    share = measure(_passed(found)) if test.test_rows and found else None
    return BehaviourResult(
        name=test.name,
        kind=test.kind,
        cases=len(cases),
        passed=len(cases) - len(failed),
        required_share=test.required_share,
        failed=tuple(failed[:SHOWN_CASES]),
        low=share.low if share else None,
        high=share.high if share else None,
        champion=_beside(found, champion),
    )


def _beside(found: list[Outcome], champion: list[Outcome]) -> PassedByChampion | None:
    """None also where the champion refuses a case: being better than no answer says nothing."""
    if not champion or any(each.refused for each in champion):
        return None
    own, its = _passed(found), _passed(champion)
    apart, _ = difference(own, its)
    return PassedByChampion(passed=int(its.sum()), difference=apart.value, low=apart.low, high=apart.high)


def _shown(instance: dict[str, Any] | None) -> str | None:
    if instance is None:
        return None
    cut = {name: _cut(value) if isinstance(value, str) else value for name, value in instance.items()}
    return json.dumps(cut, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
