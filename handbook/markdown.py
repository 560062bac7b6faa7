"""Pieces of Markdown that the written pages share."""

from collections.abc import Iterable, Sequence

WRITTEN = "<!-- Written by `make docs`: change {source} instead. -->"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what stands in a cell may hold anything but a line break."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: object) -> str:
    """In backticks; nothing where there is nothing."""
    return f"`{text}`" if text != "" else ""


def page(title: str, source: str, *parts: str) -> str:
    """A whole page, its parts with a blank line between them."""
    return "\n\n".join([f"# {title}", WRITTEN.format(source=source), *parts]) + "\n"
