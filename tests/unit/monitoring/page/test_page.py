"""The page of a drift check is one file that loads nothing, and whatever data says is text in it."""

import re
from dataclasses import replace
from typing import get_args

import pytest

from tasks.contracts import Signal, Verdict
from tasks.monitoring.page.cards import MOST_CARDS
from tasks.monitoring.page.contents import Series
from tasks.monitoring.page.lines import Limit, Line, Point
from tasks.monitoring.page.of_check import Checked, page_of
from tasks.monitoring.page.render import render
from tasks.monitoring.page.words import VERDICTS
from tests.unit.monitoring.page.reader import LOADERS, LOADING, Reader
from tests.unit.monitoring.page.world import COLUMN, DAY, LONG, SCRIPT, START


def test_the_page_loads_nothing_and_runs_nothing(changed: Checked) -> None:
    text = render(page_of(changed))
    shown = Reader(text)

    assert not LOADERS & set(shown.tags)
    assert not LOADING & {name for name, _ in shown.attributes}
    assert not [name for name, _ in shown.attributes if name.startswith("on")]
    assert shown.values("href") == ["drift-12.html"], "Evidently's report lies beside it"
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in shown.values("content")[0]


def test_what_data_says_is_text(changed: Checked) -> None:
    text = render(page_of(changed))

    assert SCRIPT not in text
    assert "<b>" not in text
    assert "<img" not in text
    assert SCRIPT in Reader(text).text
    assert COLUMN in Reader(text).text


def test_a_category_of_ten_thousand_characters_is_cut_and_its_length_told(changed: Checked) -> None:
    text = render(page_of(changed))

    assert LONG[:200] not in Reader(text).text
    assert "(10,000 characters)" in text
    assert len(text) < 250_000


def test_the_page_says_what_was_decided_why_and_where_it_is_recorded(changed: Checked) -> None:
    shown = Reader(render(page_of(changed))).text
    decision = changed.decision

    assert decision.verdict == "incident"
    for told in (
        "Incident",
        "The data is broken",
        decision.why,
        str(decision.ledger_hash),
        changed.reference_id,
        decision.champion_run_id,
        "Calibrated on 40 days of the reference",
        "at is a time, and times always move on.",
        "monitor.false_alarms_per_year",
        *changed.findings.notes,
        *(signal.why for signal in decision.signals),
    ):
        assert told in shown, told


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_every_verdict_has_a_heading_and_a_colour(quiet: Checked, verdict: Verdict) -> None:
    decision = quiet.decision.model_copy(update={"verdict": verdict})
    text = render(page_of(replace(quiet, decision=decision)))
    assert VERDICTS[verdict][1] in Reader(text).text
    assert re.search(rf"\.{verdict}\b[^{{}}]*{{ --own:", text)


def test_what_follows_is_told_where_it_is_more_than_the_verdict(quiet: Checked) -> None:
    decision = quiet.decision.model_copy(update={"verdict": "ask", "follows": "rebuild"})
    assert "asked for a full rebuild" in render(page_of(replace(quiet, decision=decision)))


def test_the_gravest_comes_first(changed: Checked) -> None:
    note = Signal(question="input", reason="joint", subject="all", level="note", why="Little.")
    decision = changed.decision.model_copy(update={"signals": (note, *changed.decision.signals)})

    page = page_of(replace(changed, decision=decision))

    assert [page.signals[0].level, page.signals[-1].level] == ["incident", "note"]
    assert page.cards[0].level == "incident"
    assert page.cards[1].level == "alarm"
    assert [card.column for card in page.cards][-1] == "at", "it is not followed"


def test_every_drawing_has_a_name_and_a_table_beside_it(changed: Checked) -> None:
    shown = Reader(render(page_of(changed)))
    drawings = [value for value in shown.values("role") if value == "img"]
    ids = shown.values("id")

    assert len(drawings) >= 8
    assert shown.values("aria-labelledby").__len__() >= len(drawings)
    for labels in shown.values("aria-labelledby"):
        assert set(labels.split()) <= set(ids)
    assert len(ids) == len(set(ids))
    assert shown.tags.count("details") >= len(drawings)


def test_no_place_in_a_drawing_is_not_a_number(changed: Checked, quiet: Checked) -> None:
    for check in (changed, quiet):
        shown = Reader(render(page_of(check)))
        for name in ("x", "y", "x1", "y1", "width", "height", "d", "cx", "cy"):
            assert not [value for value in shown.values(name) if "nan" in value or "inf" in value]
        assert not [value for value in shown.values("height") if value.startswith("-")]


def test_the_models_metrics_are_drawn_with_their_intervals_where_they_are_given(quiet: Checked) -> None:
    points = tuple(Point(START + number * DAY, 0.8, 0.75, 0.85, "40 labels") for number in range(5))
    series = Series(
        "Accuracy", "Of each day.", (Line("accuracy", points),), (Limit("at least", 0.7),), is_share=True
    )

    shown = Reader(render(page_of(replace(quiet, quality=[series]))))

    assert "80.0 % [75.0 %, 85.0 %] (40 labels)" in shown.text
    assert shown.values("class").count("interval") == 5
    assert "at least: 70.0 %" in shown.text


def test_a_check_that_looked_at_nothing_but_the_volume_has_a_page_too(quiet: Checked) -> None:
    decision = quiet.decision.model_copy(update={"verdict": "too_few", "signals": (), "domain_auc": None})
    bare = replace(
        quiet, decision=decision, columns=None, earlier=(), windows=quiet.windows[-1:], auc_threshold=None
    )

    shown = Reader(render(page_of(bare)))

    assert "The window is not judged." in shown.text
    assert "Volume" in shown.text
    assert "Evidence that adds up" not in shown.text


def test_a_reference_without_columns_has_a_page_too(quiet: Checked) -> None:
    nothing = quiet.reference.model_copy(
        update={"scales": (), "days": (), "whole": quiet.reference.whole.model_copy(update={"columns": {}})}
    )
    windows = [window.model_copy(update={"columns": {}}) for window in quiet.windows]
    shown = Reader(render(page_of(replace(quiet, reference=nothing, windows=windows, columns=None))))
    assert "Columns then and now" not in shown.text


@pytest.mark.parametrize("count", [300])
def test_of_many_columns_the_first_are_drawn_and_the_others_named(quiet: Checked, count: int) -> None:
    [scale] = [scale for scale in quiet.reference.scales if scale.column == "amount"]
    names = [f"column {number}" for number in range(count)]

    def wide(window):  # type: ignore[no-untyped-def]
        return window.model_copy(update={"columns": dict.fromkeys(names, window.columns["amount"])})

    reference = quiet.reference.model_copy(
        update={
            "scales": tuple(scale.model_copy(update={"column": name}) for name in names),
            "days": tuple(map(wide, quiet.reference.days)),
            "whole": wide(quiet.reference.whole),
        }
    )
    check = replace(quiet, reference=reference, windows=list(map(wide, quiet.windows)), columns=None)

    page = page_of(check)

    assert len(page.cards) == MOST_CARDS
    assert len(page.not_drawn) == count - MOST_CARDS
    assert len(render(page)) < 1_500_000
