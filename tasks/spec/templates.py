"""Instances with placeholders, which stand for each of several words."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")

Word = StrictBool | StrictInt | StrictStr | Annotated[StrictFloat, Field(allow_inf_nan=False)]
Words = dict[str, tuple[Word, ...]]


def placeholders(instance: Mapping[str, Any]) -> set[str]:
    """The names in braces that an instance's texts have."""
    texts = (value for value in instance.values() if isinstance(value, str))
    return {name for text in texts for name in PLACEHOLDER.findall(text)}


def fill(
    instance: Mapping[str, Any], change: Mapping[str, Any] | None, words: Words
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """The instance and its change with every combination of the words that the two use; braces of other names
    stay as they are.
    """
    used = sorted((placeholders(instance) | placeholders(change or {})) & set(words))
    for chosen in product(*(words[name] for name in used)):
        by_name = dict(zip(used, chosen, strict=True))
        yield _filled(instance, by_name), None if change is None else _filled(change, by_name)


def _filled(instance: Mapping[str, Any], words: Mapping[str, Word]) -> dict[str, Any]:
    return {name: _value(value, words) for name, value in instance.items()}


def _value(value: Any, words: Mapping[str, Word]) -> Any:
    if not isinstance(value, str):
        return value
    whole = PLACEHOLDER.fullmatch(value)
    if whole and whole[1] in words:
        return words[whole[1]]
    return PLACEHOLDER.sub(lambda found: str(words.get(found[1], found[0])), value)
