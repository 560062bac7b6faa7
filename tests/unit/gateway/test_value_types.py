"""A number has one type from the gateway on, that of its schema: to JSON Schema 1.0 is an integer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from perennial_gateway.schemas import Schema, Unacceptable, typed_answer
from perennial_gateway.web import Refused

from tasks.spec import PipelineSpec
from tests.conftest import PROJECT

INTEGER, NUMBER, NULL = {"type": "integer"}, {"type": "number"}, {"type": "null"}
TREE = {"$defs": {"node": {"anyOf": [INTEGER, {"type": "array", "items": {"$ref": "#/$defs/node"}}]}}}
BY_KIND = [{"properties": {"kind": {"const": kind}, "x": x}} for kind, x in (("a", INTEGER), ("b", NUMBER))]
BRANCH = {
    "if": {"properties": {"kind": {"const": "a"}}},
    "then": {"properties": {"x": INTEGER}},
    "else": {"properties": {"x": NUMBER}},
}

SAME = object()
CASES: list[tuple[dict[str, Any], Any, Any]] = [
    (INTEGER, 1.0, 1),
    (INTEGER, -0.0, 0),
    (INTEGER, 2**53 + 1, SAME),
    (NUMBER, 1, 1.0),
    (NUMBER, 2**53 + 1, SAME),
    (NUMBER, 0.1, SAME),
    ({"type": ["integer", "null"]}, 1.0, 1),
    ({"type": ["integer", "null"]}, None, SAME),
    ({"type": ["integer", "number"]}, 1, 1.0),
    ({"type": ["integer", "string"]}, "1.0", SAME),
    ({"type": "boolean"}, True, SAME),
    ({"type": "object"}, {"a": 1.0}, SAME),
    ({}, 1.0, SAME),
    ({"enum": [0, 1]}, 1.0, 1),
    ({"enum": [False, 0.0, 1]}, 0, 0.0),
    ({"enum": ["0", False]}, False, SAME),
    ({"const": 2.0}, 2, 2.0),
    ({"anyOf": [INTEGER, NULL]}, 3.0, 3),
    ({"anyOf": [INTEGER, NUMBER]}, 3, 3.0),
    ({"allOf": [NUMBER, INTEGER]}, 3.0, 3),
    ({"$defs": {"count": INTEGER}, "oneOf": [{"$ref": "#/$defs/count"}, NULL]}, 4.0, 4),
    ({**TREE, "$ref": "#/$defs/node"}, [1.0, [2.0, []]], [1, [2, []]]),
    ({"properties": {"a": NUMBER}, "additionalProperties": INTEGER}, {"a": 1, "b": 2.0}, {"a": 1.0, "b": 2}),
    ({"patternProperties": {"^x": NUMBER}}, {"x1": 1, "y": 1.0}, {"x1": 1.0, "y": 1.0}),
    ({"prefixItems": [INTEGER], "items": NUMBER}, [1.0, 2], [1, 2.0]),
    ({"oneOf": BY_KIND}, {"kind": "a", "x": 1.0}, {"kind": "a", "x": 1}),
    ({"oneOf": BY_KIND}, {"kind": "b", "x": 1}, {"kind": "b", "x": 1.0}),
    (BRANCH, {"kind": "a", "x": 1.0}, {"kind": "a", "x": 1}),
    (BRANCH, {"kind": "b", "x": 1}, {"kind": "b", "x": 1.0}),
    (
        {"properties": {"type": INTEGER, "enum": {"type": "string"}}},
        {"type": 1.0, "enum": "z"},
        {"type": 1, "enum": "z"},
    ),
]


@pytest.mark.parametrize(("schema", "sent", "typed"), CASES)
def test_a_number_gets_the_type_that_its_schema_names(schema: dict[str, Any], sent: Any, typed: Any) -> None:
    expected = sent if typed is SAME else typed
    assert repr(Schema(schema).accept(sent)) == repr(expected)


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"a": [1, 1e30]}, "a[1]: 1e+30 is beyond 2^53"),
        ({"a": [2**63]}, "a[0]: 9223372036854775808 needs more"),
    ],
)
def test_a_number_that_cannot_be_given_its_type_exactly_is_refused_with_its_place(
    sent: Any, place: str
) -> None:
    with pytest.raises(Unacceptable) as refused:
        Schema({"properties": {"a": {"items": INTEGER}}}).accept(sent)
    assert str(refused.value).startswith(place)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    )
)
def test_typing_changes_no_value_and_what_was_valid_stays_so(value: Any) -> None:
    schema = {
        "properties": {"a": INTEGER, "b": {"items": NUMBER}},
        "items": {"anyOf": [INTEGER, {"enum": [1.5]}, {}]},
    }
    if not Draft202012Validator(schema).is_valid(value):
        return
    typed = Schema(schema).accept(value)
    assert typed == value
    assert repr(Schema(schema).accept(typed)) == repr(typed)


def test_a_month_is_the_same_however_a_client_writes_it() -> None:
    serving = PipelineSpec.load(PROJECT / "models" / "flight_delay" / "pipeline.yaml").serving
    schema, example = Schema(serving.input_schema), serving.input_example
    assert repr(schema.accept({**example, "month": 1.0, "weekday": 2.0})) == repr(schema.accept(example))
    with pytest.raises(Unacceptable, match=r"month: 1\.5 is not of type 'integer'"):
        schema.accept({**example, "month": 1.5})
    with pytest.raises(Unacceptable, match=r"month: null is not of type 'integer'"):
        schema.accept({**example, "month": None})
    with pytest.raises(Unacceptable, match=r"month: true is not of type 'integer'"):
        schema.accept({**example, "month": True})


def test_a_prediction_has_the_type_of_a_label_and_a_score_is_a_float() -> None:
    labels = Schema({"type": "integer", "enum": [0, 1]})
    answer = typed_answer({"prediction": 1.0, "score": 1, "archive_version": "a"}, labels)
    assert repr(answer) == repr({"prediction": 1, "score": 1.0, "archive_version": "a"})
    assert typed_answer({"prediction": "late"}, labels) == {"prediction": "late", "score": None}
    for wrong in ({"prediction": 1e30}, {"prediction": 1, "score": "0.5"}, {"prediction": 1, "score": True}):
        with pytest.raises(Refused) as refused:
            typed_answer(wrong, labels)
        assert refused.value.status == 502


def test_a_schema_that_holds_itself_is_looked_at_once_a_level() -> None:
    deep: Any = 1.0
    for _ in range(40):  # doubled at each level, this would take days
        deep = [deep]
    assert repr(Schema(TREE | {"$ref": "#/$defs/node"}).accept(deep)) == repr(deep).replace("1.0", "1")
