"""The parts of an entry's evidence, in the shape that they have to have.

An entry of another Perennial may lack one, or have something else in its place: then there is nothing to show
of it, and all else is shown.
"""

from collections.abc import Mapping
from typing import Any


def part(known: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part that has fields; an empty one where there is none."""
    found = known.get(name)
    return found if isinstance(found, Mapping) else {}


def parts(known: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    """Those of a list that have fields; none where there is no list."""
    found = known.get(name)
    return tuple(each for each in found if isinstance(each, Mapping)) if isinstance(found, list) else ()
