"""Which part of an instance an answer hangs on: each is left out in turn, and the answers compared. Pure.

A word of a text is cut out; a field is left out where it may be, or gets another value: null, its default,
that of the model's own example, the schema's examples or choices, the middle of its range, 0, its bounds,
twice the value. A part that no other value can replace within the schema is not tried, and is named.

Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2; of
text Li, Monroe and Jurafsky, Understanding Neural Networks through Representation Erasure, arXiv:1612.08220.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeGuard

from perennial_gateway.user_page.fields import choices_of, fields_of, resolve, types_of

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['\u2019-][^\W_]+)*")
"""A word; of scripts without spaces between words a character."""

SENTENCE_WORDS = 4
"""A value of as many words is a text, where its schema does not say so; a name of a few is taken whole."""

MOST_EXAMPLES = 5
"""Of those that a schema gives a field."""

Accept = Callable[[Any], Any]
"""The instance as the schema types it; raises ValueError for one that breaks the schema."""

Figure = Literal["scores", "score", "prediction"]

Reason = Literal["nothing_fits", "no_room", "no_answer"]
"""Why a part has no effect: no other value keeps the schema, there are more parts than one request may ask
about, or the model gave no answer without it.
"""


class Part(NamedTuple):
    """A part of an instance, and the instance without it.

    Attributes:
        told: What a caller is told of the part.
        without: The instance without it, as the schema types it.
    """

    told: dict[str, Any]
    without: Any


class Untried(NamedTuple):
    """A part that the answer was not asked without: its field, and for a word what is told of it; and why."""

    told: dict[str, Any]
    reason: Reason


class Plan(NamedTuple):
    """What to ask: `parts`, and the parts that no instance was found without."""

    parts: list[Part]
    untried: list[Untried]


def plan(
    instance: Any, schema: Mapping[str, Any], example: Mapping[str, Any], accept: Accept, most: int
) -> Plan:
    """The instances to ask a model, at most `most`: words that are too many go several at a time.

    Args:
        instance: One that keeps the schema.
        example: The model's own example of an instance.
    """
    if not isinstance(instance, dict):
        return Plan([], [Untried({}, "nothing_fits")])
    kinds = {field.name: field.kind for field in fields_of(schema, example)}
    texts = [name for name, value in instance.items() if _is_text(value, kinds.get(name))]
    fields = [name for name in instance if name not in texts]
    neutral = _Neutral(schema, example, accept)
    found = [neutral.without(instance, name) for name in fields[:most]]
    room = max(0, most - len(found)) // max(1, len(texts))
    for name in texts:
        found += _without_words(instance, name, accept, room)
    untried = [each for each in found if isinstance(each, Untried)]
    untried += [Untried({"field": name}, "no_room") for name in fields[most:]]
    return Plan([each for each in found if isinstance(each, Part)], untried)


def _is_text(value: Any, kind: str | None) -> bool:
    """Whether a value is looked at word by word: its field is of this kind, None for one without a field."""
    if not isinstance(value, str) or kind == "choice":
        return False
    return kind == "text" or len(list(islice(WORD.finditer(value), SENTENCE_WORDS))) == SENTENCE_WORDS


class _Neutral:
    """Fields without what stands in them."""

    def __init__(self, schema: Mapping[str, Any], example: Mapping[str, Any], accept: Accept) -> None:
        resolved = resolve(schema, schema)
        self._root = schema
        self._properties = resolved.get("properties") or {}
        self._required = set(resolved.get("required", ()))
        self._example = example
        self._accept = accept

    def without(self, instance: Mapping[str, Any], name: str) -> Part | Untried:
        """The first instance without the field's value that the schema takes."""
        told = {"field": name, "value": instance[name]}
        if name not in self._required:
            rest = {each: value for each, value in instance.items() if each != name}
            if (accepted := _accepted(rest, self._accept)) is not None:
                return Part(told | {"left_out": True}, accepted)
        for value in self._values(name, instance[name]):
            if _is_same(value, instance[name]):
                continue
            if (accepted := _accepted({**instance, name: value}, self._accept)) is not None:
                return Part(told | {"replaced_by": accepted[name]}, accepted)
        return Untried({"field": name}, "nothing_fits")

    def _values(self, name: str, value: Any) -> Iterator[Any]:
        """Other values, the most telling first; the schema may refuse each."""
        schema = resolve(self._properties.get(name, {}), self._root)
        yield None
        if "default" in schema:
            yield schema["default"]
        if name in self._example:
            yield self._example[name]
        if isinstance(value, bool):
            yield not value
            return
        yield from _listed(schema.get("examples"))
        choices = choices_of(schema)
        if choices:
            yield from (json.loads(choice.json) for choice in choices[:2])
        elif isinstance(value, int | float):
            yield from _numbers(value, schema)
        elif isinstance(value, str):
            yield ""
        elif isinstance(value, list | dict):
            yield type(value)()


def _listed(examples: Any) -> list[Any]:
    return examples[:MOST_EXAMPLES] if isinstance(examples, list) else []


def _numbers(value: float, schema: Mapping[str, Any]) -> Iterator[float]:
    """The middle of the range, nothing, the bounds, and twice the value."""
    low, high = (schema.get(name, schema.get(f"exclusiveM{name[1:]}")) for name in ("minimum", "maximum"))
    if low is not None and high is not None:
        middle = (low + high) / 2
        yield math.floor(middle) if "integer" in types_of(schema) else middle
    yield 0
    yield from (bound for bound in (low, high) if bound is not None)
    if math.isfinite(2 * value):
        yield 2 * value


def _is_same(one: Any, other: Any) -> bool:
    """Whether they are one value in JSON, where 1 and 1.0 are, and 1 and true are not."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def _accepted(instance: dict[str, Any], accept: Accept) -> Any:
    try:
        return accept(instance)
    except ValueError:
        return None


def _without_words(instance: Mapping[str, Any], name: str, accept: Accept, room: int) -> list[Part | Untried]:
    """A text without each of its words, or groups of words where they are more than there is room for."""
    text: str = instance[name]
    words = [match.span() for match in WORD.finditer(text)]
    if not room or not words:
        return [Untried({"field": name}, "no_room")] * bool(words)
    size = math.ceil(len(words) / room)
    groups = [words[first : first + size] for first in range(0, len(words), size)]
    return [_without_span(instance, name, accept, (group[0][0], group[-1][1])) for group in groups]


def _without_span(
    instance: Mapping[str, Any], name: str, accept: Accept, span: tuple[int, int]
) -> Part | Untried:
    text: str = instance[name]
    start, end = span
    before, behind = text[:start], text[end:]
    if before[-1:].isspace() and behind[:1].isspace():
        behind = behind[1:]
    accepted = _accepted({**instance, name: before + behind}, accept)
    told = {"field": name, "value": text[start:end], "start": start, "end": end}
    return Untried(told, "nothing_fits") if accepted is None else Part(told, accepted)


def figure_of(answer: Mapping[str, Any]) -> tuple[Figure, float] | None:
    """The number of an answer that is compared: the probability of the predicted class where each class has
    one, else the score, else a prediction that is a number; None where there is none.
    """
    prediction, scores = answer["prediction"], answer.get("scores")
    if isinstance(scores, dict) and _is_number(scores.get(str(prediction))):
        return "scores", float(scores[str(prediction)])
    if answer["score"] is not None:
        return "score", float(answer["score"])
    if _is_number(prediction):
        return "prediction", float(prediction)
    return None


def effects(base: Mapping[str, Any], answers: Sequence[Mapping[str, Any] | None]) -> list[float | None]:
    """How much each part adds to the figure of the whole instance's answer: that less the one without it.

    Args:
        answers: Those to the instance without each part; None where the model gave none.
    """
    found = figure_of(base)
    return [None if answer is None or found is None else _less(base, *found, answer) for answer in answers]


def _less(base: Mapping[str, Any], figure: Figure, value: float, answer: Mapping[str, Any]) -> float | None:
    other = answer.get(figure)
    if figure == "scores":
        other = other.get(str(base["prediction"])) if isinstance(other, dict) else None
    return value - float(other) if _is_number(other) else None


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
