"""The documents as data: their fenced blocks, and what each block says about how it is proven.

A block opens with its language, and after it what the language alone does not say:

    ```bash                        run on the embedded platform, or by .ci/run
    ```bash no-run: reason         not run, and why; its syntax, targets and files are checked
    ```yaml                        an excerpt of a file of the project, as json and python are
    ```yaml pipeline.yaml          a part that a model's pipeline.yaml may have
    ```yaml docker-compose.override.yaml
    ```json event of TASK          what the task sends to OpenLineage, without some of it
    ```ini                         settings: each name is one that something reads
    ```text                        a drawing
"""

from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.conftest import PROJECT

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
NO_RUN = "no-run:"
IN_CI = ("make demo", "make test", "make images")
"""Blocks that .ci/run runs: they hold these tests, or are their like."""


MADE = "first_model"
"""The model that docs/tutorial.md makes: its files are not there before."""


@dataclass(frozen=True)
class Block:
    """A block of a page; `label` is what stands behind its language."""

    page: Path
    line: int
    language: str
    label: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def not_run_because(self) -> str | None:
        """The reason of a block that is not run; empty where it forgot to give one."""
        return self.label.removeprefix(NO_RUN).strip() if self.label.startswith(NO_RUN) else None


def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in these languages, in their order; of every language where none is named."""
    found = []
    for page in PAGES:
        for token in tokens(page):
            if token.type in {"fence", "code_block"}:
                language, _, label = token.info.strip().partition(" ")
                line = token.map[0] + 1 if token.map else 0
                found.append(Block(page, line, language, label.strip(), token.content))
    return [block for block in found if not languages or block.language in languages]


def commands() -> list[Block]:
    """The blocks that a reader types and a test runs."""
    ours = [block for block in blocks("bash") if block.not_run_because is None]
    return [block for block in ours if block.text.strip() not in IN_CI]


def inline_code(page: Path) -> list[str]:
    """What stands in backticks within the page's sentences and tables."""
    return [
        child.content
        for token in tokens(page)
        for child in token.children or ()
        if child.type == "code_inline"
    ]
