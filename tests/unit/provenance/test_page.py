"""The auditor's page is one file that loads nothing, and whatever data says is text in it."""

import math
from html.parser import HTMLParser
from typing import Any

import pytest

from tasks.contracts import Anchor, Explanation, FrozenSets, SetScore, SnapshotPart
from tasks.provenance.forest import Estimate, differences_of, forest
from tasks.provenance.page import page
from tasks.provenance.picture import MOST, Box, draw
from tasks.provenance.why import why
from tests.unit import judged
from tests.unit.provenance.conftest import POISON, POISONED
from tests.unit.provenance.world import HOSTILE, World

LOADING = {"src", "href", "srcset", "data", "action", "onload", "onerror", "style"}


class Reader(HTMLParser):
    """Gathers the elements of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(found: Explanation) -> Reader:
    reader = Reader()
    reader.feed(page(found))
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def explained(world: World) -> Explanation:
    return why(POISONED)


def test_the_page_of_an_answer_has_its_rows_rules_intervals_and_entries_and_loads_nothing(
    explained: Explanation,
) -> None:
    shown = read(explained)

    assert not LOADING & shown.attributes
    assert not {"script", "img", "link", "iframe", "object"} & set(shown.tags)
    assert shown.tags.count("svg") == 3, "lineage, scores and differences"
    assert explained.lineage is not None
    assert explained.lineage.run is not None
    for told in (
        explained.lineage.run.snapshot.query,
        explained.lineage.run.snapshot.sha256,
        "poison.csv",
        "minimum accuracy",
        "0.91 [0.9, 0.92]",
        *(entry.entry_hash for entry in explained.decisions),
    ):
        assert told in shown.text


def test_the_page_of_a_batch_has_the_versions_that_used_it(world: World) -> None:
    shown = read(why(POISON))
    assert "What came of it" in shown.text
    assert world.runs[1].run_id in shown.text


def test_what_data_and_people_say_is_text(explained: Explanation) -> None:
    bad = '"><img src=x onerror=alert(1)></text></svg><script>'
    lineage, gate, report = explained.lineage, explained.gate, explained.evaluation
    assert lineage is not None and lineage.answer is not None and lineage.training_rows is not None  # noqa: PT018
    assert gate is not None and report is not None  # noqa: PT018
    answer = lineage.answer.model_copy(update={"request": {bad: bad}, "prediction": bad, "sent_by": bad})
    batches = tuple(each.model_copy(update={"file": bad}) for each in lineage.training_rows.batches)
    rows = lineage.training_rows.model_copy(update={"batches": batches})
    rules = tuple(rule.model_copy(update={"rule": bad, "why": bad, "value": bad}) for rule in gate.rules)
    candidate = report.candidate.model_copy(update={"name": bad, "role": bad})
    changes: dict[str, Any] = {
        "lineage": lineage.model_copy(
            update={"answer": answer, "training_rows": rows, "reason": bad, "notes": (bad,), "model": bad}
        ),
        "gate": gate.model_copy(update={"rules": rules, "why": bad}),
        "evaluation": report.model_copy(update={"candidate": candidate, "primary_metric": "accuracy"}),
        "decisions": tuple(
            each.model_copy(update={"why": bad, "actor": bad}) for each in explained.decisions
        ),
        "why": (bad,),
    }

    shown = read(explained.model_copy(update=changes))

    assert not {"script", "img"} & set(shown.tags)
    assert not {"onerror", "src"} & shown.attributes
    assert bad in shown.text
    assert HOSTILE in shown.text, "the name of a token"


def test_an_estimate_that_is_no_number_is_told_and_not_drawn() -> None:
    plot = forest([Estimate("good", 0.5, 0.4, 0.6), Estimate("none", math.nan, math.nan, math.inf)])
    assert plot is not None
    assert [mark.x is None for mark in plot.marks] == [False, True]
    assert plot.marks[1].estimate.told == "not defined"
    assert forest([Estimate("none", math.nan, 0, 1)]) is None
    assert forest([]) is None


def test_intervals_lie_in_the_order_of_their_values_and_zero_is_shown() -> None:
    plot = forest([Estimate("a", -0.2, -0.3, -0.1), Estimate("b", 0.0, 0.0, 0.0)], with_zero=True)
    assert plot is not None
    first, second = plot.marks
    assert first.low is not None and first.x is not None and first.high is not None  # noqa: PT018
    assert first.low < first.x < first.high < (plot.zero or 0)
    assert second.x == plot.zero


def test_what_the_candidate_gains_is_drawn_on_every_set_that_it_was_judged_on() -> None:
    score = SetScore(
        rows=50, candidate=None, champion=None, to_champion=judged.gained(0.1), to_root=None, at_random=None
    )
    part = SnapshotPart(url="unused", rows=50, sha256="0" * 64)
    sets = FrozenSets(anchor=Anchor(part=part, score=score), newest=score)
    report = judged.evaluation(sets=sets, root_difference=judged.gained(0.2))
    assert [each.label for each in differences_of(report)] == [
        f"minus {against}, {where} (1000 rows)"
        for against, where in (
            ("champion", "all rows"), ("champion", "anchor"), ("champion", "newest"), ("root", "all rows")
        )
    ]  # fmt: skip


def test_a_column_of_many_boxes_says_how_many_more_there_are() -> None:
    boxes = [Box("batch", (str(number),)) for number in range(50)]
    drawn = draw([boxes, [Box("table", ("reviews",))]])
    assert len(drawn.boxes) == MOST + 1
    assert drawn.boxes[MOST - 1].lines == ("45 of them",)
    assert len(drawn.lines) == MOST
