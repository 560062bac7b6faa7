"""Lineage as a picture: boxes in columns from left to right, and the lines between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tasks.contracts import Explanation, Lineage, Usage

BOX, LINE, GAP_X, GAP_Y, PAD = 160, 17, 30, 16, 10
LETTERS = 21
MOST = 6
"""So many boxes a column; of more the last says how many."""


@dataclass(frozen=True)
class Box:
    """One thing: a title and lines, and where it is drawn."""

    title: str
    lines: tuple[str, ...]
    x: float = 0
    y: float = 0

    @property
    def height(self) -> float:
        return PAD * 2 + LINE * (1 + len(self.lines))

    @property
    def shown(self) -> tuple[str, ...]:
        """The lines as they fit."""
        return tuple(_short(line) for line in self.lines)


@dataclass(frozen=True)
class Picture:
    """Boxes, and lines from the right edge of one to the left edge of another: x1, y1, x2, y2."""

    boxes: tuple[Box, ...]
    lines: tuple[tuple[float, float, float, float], ...]
    width: float
    height: float
    box_width: float = BOX
    title_y: float = PAD + LINE - 4
    line_height: float = LINE


def picture_of(found: Explanation) -> Picture | None:
    """The picture of what an explanation found."""
    if found.lineage is not None:
        return draw(_backwards(found.lineage))
    return draw(_forwards(found.usage)) if found.usage is not None else None


def draw(columns: Sequence[Sequence[Box]]) -> Picture:
    """Lay columns of boxes out, each joined to every box of the next column."""
    kept = [_at_most(column) for column in columns if column]
    heights = [sum(box.height for box in column) + GAP_Y * (len(column) - 1) for column in kept]
    tallest = max(heights)
    placed = [
        _placed(column, number * (BOX + GAP_X), (tallest - height) / 2)
        for number, (column, height) in enumerate(zip(kept, heights, strict=True))
    ]
    lines = [
        (left.x + BOX, left.y + left.height / 2, right.x, right.y + right.height / 2)
        for before, after in pairwise(placed)
        for left in before
        for right in after
    ]
    boxes = tuple(box for column in placed for box in column)
    return Picture(boxes, tuple(lines), len(placed) * (BOX + GAP_X) - GAP_X, tallest)


def _placed(column: Sequence[Box], x: float, y: float) -> list[Box]:
    placed = []
    for box in column:
        placed.append(Box(box.title, box.lines, x, y))
        y += box.height + GAP_Y
    return placed


def _at_most(column: Sequence[Box]) -> list[Box]:
    if len(column) <= MOST:
        return list(column)
    return [*column[: MOST - 1], Box("and more", (f"{len(column) - MOST + 1} of them",))]


def _backwards(lineage: Lineage) -> list[list[Box]]:
    rows, run, version = lineage.training_rows, lineage.run, lineage.version
    batches = [
        Box("batch", (batch.file or batch.batch_id, f"{batch.rows} rows"))
        for batch in (rows.batches if rows else ())
    ]
    pinned = tuple(f"{each.table} v{each.version}" for each in run.snapshot.pinned) if run else ()
    # One box: the batches are of the model's own table, and not of those that its query joined.
    tables = [Box("table" if len(pinned) == 1 else "tables", pinned[:MOST])] if pinned else []
    snapshot = [Box("snapshot", (f"{run.snapshot.rows} rows", run.snapshot.sha256[:16]))] if run else []
    code = (f"commit {run.code_commit[:12]}",) if run and run.code_commit else ()
    trained = [Box("training run", (lineage.run_id[:16], *code))]
    archive = [Box("archive", (lineage.archive.sha256[:16],))] if lineage.archive else []
    served = [Box("version", (f"{lineage.model} {version.version}",))] if version else []
    answer = lineage.answer
    answers = [Box("answer", (answer.prediction_id[:16], repr(answer.prediction)))] if answer else []
    return [batches, tables, snapshot, trained, archive, served, answers]


def _forwards(usage: Usage) -> list[list[Box]]:
    batches = [
        Box("batch", (batch.file or batch.batch_id, f"{batch.rows} rows", *(["recalled"] * batch.recalled)))
        for batch in usage.batches
    ]
    used = [
        Box(
            f"version {use.version}" if use.version else "no version",
            (use.model, f"run {use.run_id[:16]}", f"{use.answers.rows} answers"),
        )
        for use in usage.uses
    ]
    return [batches, [Box("table", (usage.table,))], used]


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
