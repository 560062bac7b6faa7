"""YAML that says each thing once: of a key that is written twice, YAML's own reader would take the last.

Whatever is wrong with a text is told as an error of YAML, with its place: YAML's own reader
lets errors of Python pass, such as that of a date that is none.
"""

import sys
from typing import Any

import yaml

MOST_LEVELS = 100
"""The deepest nesting: more is no description of a model, and Python's own limit is not far."""

MOST_VALUES = 100_000
"""The most values, counted again wherever an alias repeats them: a few lines can stand for billions."""


class _Loader(yaml.SafeLoader):
    """Looks while the document is put together, before `<<` mixes the keys of several mappings."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._sizes: dict[yaml.Node, tuple[int, int]] = {}
        """Of each complete node how many levels it has, and how many values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _refusal(f"more than {MOST_LEVELS} levels are nested here", mark)
        node: Any = super().compose_node(parent, index)
        self._level -= 1
        if isinstance(event, yaml.AliasEvent) and node not in self._sizes:
            raise _refusal(f"*{event.anchor} is within what it stands for", mark)
        if node not in self._sizes:
            self._sizes[node] = self._size_of(node)
        levels, values = self._sizes[node]
        if self._level + levels > MOST_LEVELS or values > MOST_VALUES:
            raise _refusal(f"more than {MOST_LEVELS} levels or {MOST_VALUES} values begin here", mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            first = seen.setdefault((key.tag, key.value), key)
            if first is not key:
                raise _refusal(
                    f"{key.value!r} is there already in line {first.start_mark.line + 1}", key.start_mark
                )
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - YAML's
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:
            raise _refusal(
                f"this is no {node.tag.rpartition(':')[2]}: {error}; put it in quotes if it is a text",
                node.start_mark,
            ) from error
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            raise _refusal("this number is beyond 1.8e308", node.start_mark)
        return value

    def _size_of(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            return 1, 1
        pairs = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if pairs else node.value
        sizes = [self._sizes[part] for part in parts]
        return 1 + max((levels for levels, _ in sizes), default=0), 1 + sum(values for _, values in sizes)


def _refusal(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def loads(text: str) -> Any:
    """Parse one document.

    Raises:
        yaml.YAMLError: It is no YAML, has a key twice in one mapping, holds a value that there is not (such
            as 30 February), or is nested or repeated beyond all measure.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def sentence(error: yaml.YAMLError) -> str:
    """What is wrong with a text, in one line with its place."""
    mark = getattr(error, "problem_mark", None)
    told = " ".join(str(getattr(error, "problem", None) or error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {told}" if mark else told
