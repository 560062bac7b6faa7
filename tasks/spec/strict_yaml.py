"""YAML that says each thing once: of a key that is written twice, YAML's own reader would take the last."""

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Looks while the document is put together, before `<<` mixes the keys of several mappings."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            first = seen.setdefault((key.tag, key.value), key)
            if first is not key:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} is there already in line {first.start_mark.line + 1}",
                    problem_mark=key.start_mark,
                )
        return node


def loads(text: str) -> Any:
    """Parse one document.

    Raises:
        yaml.YAMLError: It is no YAML, or has a key twice in one mapping.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
