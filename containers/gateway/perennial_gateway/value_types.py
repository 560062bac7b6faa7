"""One type for each number: that of its schema, from the gateway to the model, the log and the table.

JSON has one kind of number and JSON Schema calls 1.0 an integer, but programs tell 1 from 1.0: a model that
makes a category of it answers differently, and a column of a table holds one of them. So the schema decides:
an `integer` is an int, any other `number` a float, and a number of an `enum` is the one that stands there.
Where a schema says none of these, a number stays as it was sent.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

EXACT = 2**53
"""Up to here a float holds every whole number; beyond it nobody can tell which one was meant."""

ALTERNATIVES = ("anyOf", "oneOf", "then", "else")


class Inexact(ValueError):
    """A number that cannot be given the type of its schema without changing it.

    Attributes:
        path: Where in the value it is.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.path: deque[str | int] = deque()


class Place:
    """What several schemas that hold together say of the values at one place.

    Attributes:
        idle: They give no type to any number there or beneath.
        has_alternatives: What holds depends on the value.
        properties: The places of the named properties; None until one is first met.
    """

    def __init__(
        self, schemas: tuple[dict[str, Any], ...], kinds: set[str], members: list[int | float]
    ) -> None:
        self.schemas = schemas
        self.idle = not any(_concerns_numbers(part) for schema in schemas for part in _parts(schema))
        self.has_alternatives = any(name in schema for schema in schemas for name in (*ALTERNATIVES, "if"))
        self.properties: dict[str, Place | None] = dict.fromkeys(
            name for schema in schemas for name in schema.get("properties", {})
        )
        self._kinds = kinds
        self._members = members

    def typed(self, number: int | float) -> int | float:
        """The number in the type that it has here.

        Raises:
            Inexact: It cannot be given that type without being changed.
        """
        if "integer" in self._kinds:
            return _as_integer(number)
        if "number" in self._kinds:
            return float(number) if isinstance(number, int) and abs(number) <= EXACT else number
        return next((member for member in self._members if member == number), number)


class ValueTypes:
    """The types that a schema gives to the numbers of a value that it accepts.

    Args:
        schema: A JSON Schema of draft 2020-12; its references lead nowhere but into itself.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
        self._validator = Draft202012Validator(schema)
        self._places: dict[tuple[int, ...], Place] = {}
        self._root = self._place([schema])

    def typed(self, value: Any) -> Any:
        """The value, each number in the type that the schema gives it.

        Raises:
            Inexact: A whole number was sent in a form that does not hold it exactly, or needs more than 64
                bits.
        """
        return self._typed(value, self._root)

    def _typed(self, value: Any, place: Place) -> Any:
        if place.idle or isinstance(value, str | bool | None):
            return value
        if isinstance(value, dict):
            return self._typed_object(value, self._settle(place, value))
        if isinstance(value, list):
            return self._typed_list(value, self._settle(place, value))
        return place.typed(value)

    def _typed_object(self, value: dict[str, Any], place: Place) -> dict[str, Any]:
        typed = {}
        for name, each in value.items():
            try:
                typed[name] = self._typed(each, self._of_property(place, name))
            except Inexact as error:
                error.path.appendleft(name)
                raise
        return typed

    def _typed_list(self, value: list[Any], place: Place) -> list[Any]:
        typed = []
        for number, each in enumerate(value):
            try:
                typed.append(self._typed(each, self._place(_schemas_of_item(place.schemas, number))))
            except Inexact as error:
                error.path.appendleft(number)
                raise
        return typed

    def _of_property(self, place: Place, name: str) -> Place:
        if name not in place.properties:
            return self._place(_schemas_of_property(place.schemas, name))
        found = place.properties[name]
        if found is None:
            found = place.properties[name] = self._place(_schemas_of_property(place.schemas, name))
        return found

    def _place(self, schemas: Iterable[Any]) -> Place:
        """What schemas say of one place, worked out once."""
        # Each once: where a schema holds itself, they would double at each level.
        parts = {id(part): part for schema in schemas for part in self._together(schema)}
        wanted = tuple(parts.values())
        key = tuple(map(id, wanted))
        if key not in self._places:
            kinds = {self._kind(schema) for schema in wanted}
            members = [member for schema in wanted for member in self._members(schema)]
            self._places[key] = Place(wanted, kinds, members)
        return self._places[key]

    def _settle(self, place: Place, value: Any) -> Place:
        """The place of an object or a list, with those of its schemas' alternatives that hold for it."""
        if not place.has_alternatives:
            return place
        return self._place(part for schema in place.schemas for part in self._applied(schema, value))

    def _together(self, schema: Any) -> Iterator[dict[str, Any]]:
        """A schema and those that hold wherever it does."""
        if isinstance(schema, dict):
            yield schema
            if "$ref" in schema:
                yield from self._together(self._resolver.lookup(schema["$ref"]).contents)
            for each in schema.get("allOf", ()):
                yield from self._together(each)

    def _applied(self, schema: Any, value: Any) -> Iterator[dict[str, Any]]:
        """A schema and those of its alternatives that hold for a value, and of theirs."""
        for part in self._together(schema):
            yield part
            for name in ("anyOf", "oneOf"):
                for each in part.get(name, ()):
                    if self._accepts(each, value):
                        yield from self._applied(each, value)
            if "if" in part:
                branch = "then" if self._accepts(part["if"], value) else "else"
                yield from self._applied(part.get(branch), value)

    def _accepts(self, schema: Any, value: Any) -> bool:
        return bool(self._validator.evolve(schema=schema).is_valid(value))

    def _kind(self, schema: dict[str, Any]) -> str:
        """The type of a schema's numbers; where its alternatives differ, `number` holds for all of them."""
        kinds = {*_list_of(schema, "type")} | {self._kind(part) for part in self._alternatives(schema)}
        return "number" if "number" in kinds else "integer" if "integer" in kinds else ""

    def _members(self, schema: dict[str, Any]) -> Iterator[int | float]:
        """The numbers that a schema and its alternatives list."""
        yield from _numbers(schema)
        for part in self._alternatives(schema):
            yield from self._members(part)

    def _alternatives(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for name in ALTERNATIVES:
            for each in _list_of(schema, name):
                yield from self._together(each)


def _as_integer(number: int | float) -> int | float:
    if isinstance(number, float):
        if not number.is_integer():
            return number  # one of the schema's alternatives takes it as it is
        if abs(number) > EXACT:
            raise Inexact(
                f"{number} is beyond 2^53; write such a whole number without a point or an exponent"
            )
        return int(number)
    if not -(2**63) <= number < 2**63:
        raise Inexact(f"{number} needs more than 64 bits")
    return number


def _schemas_of_property(schemas: Sequence[dict[str, Any]], name: str) -> list[Any]:
    found = []
    for schema in schemas:
        named = [schema["properties"][name]] if name in schema.get("properties", {}) else []
        patterns = schema.get("patternProperties", {})
        named += [each for pattern, each in patterns.items() if re.search(pattern, name)]
        found += named or [schema.get("additionalProperties")]
    return found


def _schemas_of_item(schemas: Sequence[dict[str, Any]], number: int) -> list[Any]:
    found = []
    for schema in schemas:
        first = schema.get("prefixItems", ())
        found.append(first[number] if number < len(first) else schema.get("items"))
    return found


def _concerns_numbers(part: dict[str, Any]) -> bool:
    """Whether a part of a schema may give a number its type; a reference may lead to one that does."""
    types = _list_of(part, "type")
    return "$ref" in part or "integer" in types or "number" in types or bool(_numbers(part))


def _numbers(schema: dict[str, Any]) -> list[int | float]:
    listed = [*_list_of(schema, "enum"), schema.get("const")]
    return [each for each in listed if isinstance(each, int | float) and not isinstance(each, bool)]


def _list_of(schema: dict[str, Any], keyword: str) -> list[Any]:
    """What a keyword holds: a list, or one thing."""
    found = schema.get(keyword, [])
    return found if isinstance(found, list) else [found]


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object within a schema: more than its subschemas, which only costs time."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _parts(each)
