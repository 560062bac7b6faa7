"""What a class says of its fields: the section `Attributes:` of its docstring and of its bases'."""

import inspect
import re

from pydantic import BaseModel

SECTION = "Attributes:"
ENTRY = re.compile(r"^    (?P<names>\w+(?:,\s+\w+)*):\s+(?P<text>.*)$", re.DOTALL)


def sentences(kind: type[BaseModel]) -> dict[str, str]:
    """The sentence of each field that has one; several fields may share one, `cpu, memory: ...`."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        found |= _own(each)
    return {name: text for name, text in found.items() if name in kind.model_fields}


def about(kind: type[BaseModel]) -> str:
    """What the docstring says before that section, as paragraphs of one line each."""
    text = (inspect.getdoc(kind) or "").partition(SECTION)[0].strip()
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _own(kind: type) -> dict[str, str]:
    documented = inspect.cleandoc(kind.__doc__ or "").partition(f"{SECTION}\n")[2]
    entries = re.split(r"\n(?=    \S)", documented.rstrip())
    return {name: text for entry in entries for name, text in _entry(entry).items()}


def _entry(entry: str) -> dict[str, str]:
    matched = ENTRY.match(entry)
    if not matched:
        return {}
    text = " ".join(matched["text"].split())
    return {name.strip(): text for name in matched["names"].split(",")}
