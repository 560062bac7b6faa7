"""On what a version's answers rest: its packaged archive is asked about test rows, as they are and changed.

Bounded in the number of instances, which follows from the latency that the evaluation measured, and in time.
The archive answers in a process of its own, in the model's environment and without the platform's secrets.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from tasks.contracts import Archive, ExplainedRow, Explanations, TrainingRun
from tasks.errors import InvalidRequest
from tasks.evaluation.score_program import as_json
from tasks.evaluation.scoring import Scores, answer_all, fetch_archive
from tasks.provenance.card.changes import (
    DRAWS,
    MOST_WORDS,
    Asked,
    NumberOf,
    by_columns,
    by_words,
    effects,
    importances,
    words_of,
)
from tasks.runtime.secrecy import hide_environment
from tasks.settings import settings
from tasks.spec import PipelineSpec, Task, declared_classes, label_text, named_label
from tasks.stores.parts import read_part

MOST_ASKED, FEWEST_ASKED = 6_000, 600
SECONDS = 60.0
"""What the answers may take by the measured latency; batches are faster."""
TIMEOUT_SECONDS = 300.0
MOST_ROWS = 200
WORDS_OF_A_TEXT = 4
"""A feature of which half of the rows have so many words that are no numbers is a text."""
LONGEST_SHOWN = 300
NOT_FOR_MODELS = dict.fromkeys(
    (
        "PERENNIAL_DATABASE_URL",
        "PERENNIAL_LEDGER_KEY",
        "PERENNIAL_GATEWAY_TOKEN",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
    ),
    "",
)
"""What this step may know, and a model's handler need not."""
NUMBERS: Mapping[Task, str] = {
    "binary": "the score of the positive class",
    "multiclass": "the probability of the class that was answered",
    "regression": "the number that was answered",
}


def explain(
    spec: PipelineSpec, run: TrainingRun, archive: Archive, latency_seconds: float | None
) -> Explanations:
    """Explain the answers to rows of the test part.

    Args:
        latency_seconds: Of one answer, as measured; None where it was not.

    Raises:
        InvalidRequest: There is nothing that could be left out or exchanged.
        FrozenSetMismatch: The test part is not the one that the snapshot froze.
        ArchiveMismatch, InvalidProject, ServingError: The archive is not the one that was judged, or does not
            answer in time.
    """
    rows = _rows(spec, run)
    text = _text_column(spec, rows)
    asked = _asked(spec, rows, text, _most(latency_seconds))
    answers = _answers(spec, archive, asked)
    number_of = _number_of(answers, spec.task)
    bases = [place for place, one in enumerate(asked) if one.name is None]
    return Explanations(
        method=_method(text, len(bases)),
        number=_meaning(spec),
        asked=len(asked),
        overall=importances(asked, number_of, signed=text is not None),
        rows=tuple(_explained(spec, asked, answers, number_of, bases, text)),
    )


def _most(latency_seconds: float | None) -> int:
    """How many instances may be asked about."""
    if not latency_seconds:
        return MOST_ASKED
    return min(MOST_ASKED, max(FEWEST_ASKED, int(SECONDS / latency_seconds)))


def _meaning(spec: PipelineSpec) -> str:
    """What the number of an answer is; of two classes that have names with that of the positive one."""
    schema = spec.serving.label_schema
    classes = declared_classes(schema) or ()
    if (
        spec.task != "binary"
        or len(classes) != 2
        or named_label(classes[1], schema) == label_text(classes[1])
    ):
        return NUMBERS[spec.task]
    return f"{NUMBERS[spec.task]}, {named_label(classes[1], schema)}"


def _rows(spec: PipelineSpec, run: TrainingRun) -> list[dict[str, Any]]:
    """Test rows with their features, their key and, where it is there, their label, spread over the part."""
    table = read_part(run.snapshot.test)
    wanted = {spec.data.key, spec.data.label, *spec.data.features} & {*table.column_names}
    table = table.select(sorted(wanted))
    step = max(1, len(table) // MOST_ROWS)
    places = pa.array(range(0, len(table), step)[:MOST_ROWS], pa.int64())
    found = table.take(places).to_pylist()
    return [{name: as_json(value) for name, value in row.items()} for row in found]


def _text_column(spec: PipelineSpec, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The feature whose words are left out: the only one, where it is a text.

    Raises:
        InvalidRequest: The only feature is something else, or there are no rows.
    """
    if not rows:
        raise InvalidRequest("The test part has no rows, so there is nothing to ask about.")
    if len(spec.data.features) > 1:
        return None
    name = spec.data.features[0]
    if (
        spec.data.feature_types[name] == "string"
        and median(sum(not word.isdigit() for word in words_of(str(row[name]))) for row in rows)
        >= WORDS_OF_A_TEXT
    ):
        return name
    raise InvalidRequest(
        f"The model has one feature, {name}, which is no text of several words: there is nothing in it that "
        "could be left out or exchanged."
    )


def _asked(spec: PipelineSpec, rows: Sequence[Mapping[str, Any]], text: str | None, most: int) -> list[Asked]:
    """As many rows as fit."""
    if text is None:
        columns, alone = spec.data.features, spec.card.samples
        left = most - alone * len(columns) * DRAWS
        return list(by_columns(rows[: max(2, left // (len(columns) + 1))], columns, alone))
    fitting, count = list[Mapping[str, Any]](), 0
    for row in rows:
        count += 1 + len(words_of(str(row[text])))
        if count > most and fitting:
            break
        fitting.append(row)
    return list(by_words(fitting, text))


def _answers(spec: PipelineSpec, archive: Archive, asked: Sequence[Asked]) -> Scores:
    # As a process of one machine there is nothing to hide from its own user, and what is left over is found
    # by a mark in its environment.
    if settings().image_digest:
        hide_environment()
    with tempfile.TemporaryDirectory(prefix="perennial-card-") as name:
        folder = Path(name)
        instances = ({each: one.instance[each] for each in spec.data.features} for one in asked)
        lines = (json.dumps(instance, default=float) for instance in instances)
        (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return answer_all(
            fetch_archive(archive, folder),
            folder / "rows.jsonl",
            spec.data.features,
            latency_samples=0,
            timeout_seconds=TIMEOUT_SECONDS,
            python=settings().python(spec.name),
            environment=NOT_FOR_MODELS,
        )


def _number_of(answers: Scores, task: Task) -> NumberOf:
    """Where a handler gives no number beside a class, 1 where the class stays and 0 where it does not."""
    refused = {each.row for each in answers.refused}

    def number_of(place: int, base: int) -> float | None:
        if place in refused or base in refused:
            return None
        number: Any = answers.predictions[place] if task == "regression" else None
        if task == "binary":
            number = answers.scores[place]
        elif task == "multiclass" and (scores := answers.probabilities[place]):
            number = scores.get(label_text(answers.predictions[base]), 0.0)
        if number is None:
            return float(answers.predictions[place] == answers.predictions[base])
        return float(number)

    return number_of


def _explained(
    spec: PipelineSpec,
    asked: Sequence[Asked],
    answers: Scores,
    number_of: NumberOf,
    bases: Sequence[int],
    text: str | None,
) -> list[ExplainedRow]:
    found = []
    for base in bases[: spec.card.samples]:
        number, row = number_of(base, base), asked[base].instance
        if number is not None:
            values = None if text else {name: row[name] for name in spec.data.features}
            told = effects(asked, number_of, base, by_itself=text is None, values=values)
            label, schema = row.get(spec.data.label), spec.serving.label_schema
            found.append(
                ExplainedRow(
                    row=str(row[spec.data.key])[:LONGEST_SHOWN],
                    text=_excerpt(str(row[text])) if text else None,
                    answer=named_label(answers.predictions[base], schema),
                    label=None if label is None else named_label(label, schema),
                    number=number,
                    effects=told,
                )
            )
    return found


def _excerpt(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _method(text: str | None, rows: int) -> str:
    if text is None:
        return (
            f"Of {rows} test rows each column in turn got the value of another row; how far the answer's "
            "number moved is the column's importance. Of single rows it is the mean over the values of "
            f"{DRAWS} other rows."
        )
    return (
        f"Of {rows} test rows each of the first {MOST_WORDS} different words of {text!r} was left out in "
        "turn, wherever in the text it stands; by so much the answer's number fell without it, "
        "or rose where the change is below 0."
    )
