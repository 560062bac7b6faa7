"""Each word and each field is left out in turn, within the schema and within bounds."""

from collections.abc import Callable
from typing import Any

import pytest
from perennial_gateway.schemas import Schema
from perennial_gateway.user_page.occlusion import Plan, Untried, effects, figure_of, plan

TEXT = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}


def planned(
    instance: Any, schema: dict[str, Any], example: dict[str, Any] | None = None, most: int = 63
) -> Plan:
    accept: Callable[[Any], Any] = Schema(schema).accept
    return plan(accept(instance), schema, example or {}, accept, most)


def table(required: bool = True, **properties: Any) -> dict[str, Any]:
    names = list(properties) if required else []
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


def test_each_word_is_cut_out_with_its_space() -> None:
    found = planned({"text": "A quiet, won't-stop film."}, TEXT)
    assert [part.without["text"] for part in found.parts] == [
        " quiet, won't-stop film.",
        "A , won't-stop film.",
        "A quiet, film.",
        "A quiet, won't-stop .",
    ]
    words = [(part.told["value"], part.told["start"], part.told["end"]) for part in found.parts]
    assert words[2] == ("won't-stop", 9, 19)
    assert found.untried == []


def test_places_are_counted_in_characters_whatever_their_size() -> None:
    text = "\U0001f600 sch\u00f6n \u6620\u753b"
    told = [part.told for part in planned({"text": text}, TEXT).parts]
    assert [(each["value"], text[each["start"] : each["end"]]) for each in told] == [
        (word, word) for word in ("sch\u00f6n", "\u6620", "\u753b")
    ]


def test_words_that_are_too_many_go_together_and_none_is_forgotten() -> None:
    words = [f"w{number}" for number in range(1000)]
    found = planned({"text": " ".join(words)}, TEXT)
    assert len(found.parts) <= 63
    assert " ".join(part.told["value"] for part in found.parts).split() == words


def test_a_text_that_may_not_be_empty_keeps_its_only_word() -> None:
    word = {"field": "text", "value": "good", "start": 0, "end": 4}
    assert planned({"text": "good"}, TEXT) == Plan([], [Untried(word, "nothing_fits")])
    assert planned({"text": "?!"}, TEXT) == Plan([], [])


def test_a_sentence_is_a_text_though_its_schema_does_not_say_so() -> None:
    of = table(x={"type": "string"}, y={"enum": ["a b c d", "e"]})
    told = [part.told for part in planned({"x": "it was a film", "y": "a b c d"}, of).parts]
    assert [(each["field"], each["value"]) for each in told] == [
        ("y", "a b c d"),
        *(("x", word) for word in ("it", "was", "a", "film")),
    ]
    assert planned({"x": "New York", "y": "e"}, of).parts[0].told["value"] == "New York"
    assert len(planned({"x": "it was a film"}, {"type": "object"}).parts) == 4, "no property is named"


NUMBER = {"type": "number"}


@pytest.mark.parametrize(
    ("schema", "value", "example", "told"),
    [
        (NUMBER | {"default": 7.5}, 1.0, 2.0, 7.5),
        (NUMBER, 1.0, 2.0, 2.0),
        (NUMBER | {"minimum": 0, "maximum": 9}, 1.0, 1.0, 4.5),
        ({"type": "integer", "minimum": 0, "maximum": 9}, 1, 1, 4),
        (NUMBER, 1.0, 1.0, 0.0),
        (NUMBER, 1, 1.0, 0.0),
        (NUMBER | {"minimum": 2}, 2, 2.0, 4.0),
        (NUMBER | {"exclusiveMinimum": 0}, 1.5, 1.5, 3.0),
        ({"type": "integer", "minimum": 3, "maximum": 4}, 3, 3, 4),
        (NUMBER | {"examples": [1, 6]}, 1.0, 1.0, 6.0),
        ({"type": "string", "minLength": 1, "examples": ["a", "b"]}, "a", "a", "b"),
        ({"type": ["number", "null"]}, 1.0, 2.0, None),
        ({"type": "boolean"}, True, True, False),
        ({"enum": ["a", "b"]}, "a", "a", "b"),
        ({"type": "string"}, "a", "a", ""),
        ({"type": "array"}, [1], [1], []),
    ],
)
def test_a_field_that_has_to_be_there_gets_a_neutral_value(
    schema: dict[str, Any], value: Any, example: Any, told: Any
) -> None:
    of = table(x=schema, y={"type": "integer"})
    found = planned({"x": value, "y": 0}, of, {"x": example, "y": 1})
    assert found.parts[0].told == {"field": "x", "value": value, "replaced_by": told}
    assert found.parts[0].without == {"x": told, "y": 0}


def test_a_field_that_may_be_left_out_is() -> None:
    [part] = planned({"x": 1.0}, table(required=False, x=NUMBER), {"x": 3.0}).parts
    assert (part.told, part.without) == ({"field": "x", "value": 1.0, "left_out": True}, {})


def test_no_number_becomes_infinite() -> None:
    of = table(x=NUMBER | {"exclusiveMinimum": 0})
    assert planned({"x": 1e308}, of).untried == [Untried({"field": "x"}, "nothing_fits")]


def test_a_field_that_nothing_can_replace_is_named() -> None:
    of = table(x={"const": 1}, y={"type": "string", "pattern": "^[A-Z]{3}$"})
    assert planned({"x": 1, "y": "EWR"}, of, {"x": 1, "y": "EWR"}) == Plan(
        [], [Untried({"field": "x"}, "nothing_fits"), Untried({"field": "y"}, "nothing_fits")]
    )


def test_no_more_is_planned_than_may_be_asked() -> None:
    many = {f"p{number}": NUMBER for number in range(100)}
    found = planned(dict.fromkeys(many, 1.0), table(**many))
    left = [Untried({"field": f"p{number}"}, "no_room") for number in range(63, 100)]
    assert (len(found.parts), found.untried) == (63, left)
    both = table(text={"type": "string", "maxLength": 9000}, **many)
    found = planned({"text": "a b c"} | dict.fromkeys(many, 1.0), both)
    assert (len(found.parts), len(found.untried)) == (63, 38)
    assert Untried({"field": "text"}, "no_room") in found.untried


def test_what_is_no_object_has_no_parts() -> None:
    assert planned([1, 2], {"type": "array"}) == Plan([], [Untried({}, "nothing_fits")])


@pytest.mark.parametrize(
    ("answer", "figure"),
    [
        ({"prediction": 1, "score": 0.9}, ("score", 0.9)),
        ({"prediction": "3", "score": 0.7, "scores": {"3": 0.7, "5": 0.3}}, ("scores", 0.7)),
        ({"prediction": 3, "score": 0.7, "scores": {"3": 0.7}}, ("scores", 0.7)),
        ({"prediction": 12.5, "score": None}, ("prediction", 12.5)),
        ({"prediction": "late", "score": None}, None),
        ({"prediction": True, "score": None}, None),
    ],
)
def test_what_is_compared_is_the_number_that_says_most(answer: dict[str, Any], figure: Any) -> None:
    assert figure_of(answer) == figure


def test_an_effect_is_what_the_answer_loses_without_the_part() -> None:
    base = {"prediction": "a", "score": 0.7, "scores": {"a": 0.7, "b": 0.3}}
    others = [
        {"prediction": "b", "score": 0.8, "scores": {"a": 0.2, "b": 0.8}},
        {"prediction": "b", "score": 0.8, "scores": {"b": 0.8}},
        None,
    ]
    assert effects(base, others) == [pytest.approx(0.5), None, None]
    assert effects({"prediction": "x", "score": None}, [{"prediction": "y", "score": None}]) == [None]
