"""What is kept of a window, beside what numpy and scikit-learn say of the same rows."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.monitoring.target import summary as summary_module
from tasks.monitoring.target.counting import Group
from tasks.monitoring.target.summary import summaries
from tasks.stores.lake import Lake
from tests.unit.monitoring.target.answered import RUN, Answered, scored, spec_of, window

FLIGHTS = spec_of("flight_delay")
MINUTES = spec_of("flight_minutes")
DIGITS = spec_of("handwritten_digit")


def test_a_window_has_what_its_rows_have(home: Path) -> None:
    log = Answered(FLIGHTS)
    answers, scores, labels = scored(300, 1)
    origins = ["EWR" if place % 3 else "JFK" for place in range(300)]
    ids = log.predict(answers, scores=list(scores), origin=origins)
    log.predict([1] * 5, day=1, scores=[0.9] * 5)
    log.label(ids[:200], labels[:200])
    [found] = summaries(Lake(), FLIGHTS, RUN, window(0), (Group("origin"),))
    every = found.every
    assert (every.rows, every.labelled) == (300, 200)
    assert every.predicted == Counter(map(str, answers))
    assert every.labels == Counter(map(str, labels[:200]))
    right = [str(label) for label, answer in zip(labels[:200], answers, strict=False) if label == answer]
    assert every.right == Counter(right)
    truth, said = np.array(labels[:200]), np.array(scores[:200])
    assert every.sums["brier"].total == pytest.approx(((truth - said) ** 2).sum())
    assert every.sums["log_loss"].total == pytest.approx(-np.log(np.where(truth == 1, said, 1 - said)).sum())
    assert every.sums["confidence"].total == pytest.approx(np.maximum(scores, 1 - np.array(scores)).sum())
    assert sum(each.rows for each in found.bins) == 300
    assert sum(each.positive for each in found.bins) == truth.sum()
    assert {each.value: each.rows for each in found.groups} == {"EWR": 200, "JFK": 100}


def test_a_regression_has_the_sums_of_its_numbers(home: Path) -> None:
    log = Answered(MINUTES)
    ids = log.predict([10.0, 20, -5.5, float("nan")])
    log.label(ids, [12, 20, 0, 3])
    [found] = summaries(Lake(), MINUTES, RUN, window(0))
    sums = found.every.sums
    assert (found.every.rows, found.every.labelled, found.not_numbers) == (4, 4, 1)
    assert (sums["absolute_error"].rows, sums["absolute_error"].total) == (3, 7.5)
    assert sums["squared_error"].total == pytest.approx(4 + 5.5**2)
    assert sums["label"].total == 32
    assert sums["product"].total == pytest.approx(120 + 400)


def test_classes_are_known_by_their_text(home: Path) -> None:
    log = Answered(DIGITS)
    ids = log.predict([3, 3.0, 7], scores=[0.9, 0.8, float("nan")])
    log.label(ids, [3, 8, 7])
    [found] = summaries(Lake(), DIGITS, RUN, window(0))
    assert found.every.predicted == {"3": 2, "7": 1}
    assert found.every.right == {"3": 1, "7": 1}
    assert found.not_numbers + found.without_score == 1
    assert found.every.sums["confidence"].total == pytest.approx(1.7)


def test_labels_that_come_late_make_a_window_again_and_its_rows_are_read_for_nothing_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, made = Answered(FLIGHTS), []
    real = summary_module._made
    monkeypatch.setattr(summary_module, "_made", lambda *args: made.append(args[3]) or real(*args))
    ids = [log.predict([1] * 30, day=day, scores=[0.7] * 30) for day in range(3)]
    for day in range(3):
        summaries(Lake(), FLIGHTS, RUN, window(day))
    log.label(ids[1], [1] * 30, by="clinic")
    made.clear()
    found = summaries(Lake(), FLIGHTS, RUN, window(2))
    assert [each.every.labelled for each in found] == [0, 30, 0]
    assert made == [window(1), window(2)]
    log.take_back("clinic")
    assert [each.every.labelled for each in summaries(Lake(), FLIGHTS, RUN, window(2))] == [0, 0, 0]


def test_only_windows_whose_own_labels_changed_are_made_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by labels of other versions, by one that came before any window, or by word of another sender."""
    log, made = Answered(FLIGHTS), []
    real = summary_module._made
    early = log.predict([1] * 3, day=-9, scores=[0.7] * 3)
    for day in range(3):
        log.label(log.predict([1] * 3, day=day, scores=[0.7] * 3), [1] * 3, by=f"clinic {day}", hour=24 * day)
    others = log.predict([1] * 3, day=1, scores=[0.7] * 3, run_id="b" * 32)
    for day in range(3):
        summaries(Lake(), FLIGHTS, RUN, window(day))
    monkeypatch.setattr(summary_module, "_made", lambda *args: made.append(args[3]) or real(*args))
    log.label([*others, *early], [1] * 6, hour=72)
    summaries(Lake(), FLIGHTS, RUN, window(2))
    assert made == [window(2)]
    for sender in ("nobody", "clinic 1"):
        log.take_back(sender)
        made.clear()
        summaries(Lake(), FLIGHTS, RUN, window(2))
        assert made == ([window(2)] if sender == "nobody" else [window(1), window(2)])


def test_a_check_that_is_killed_leaves_late_labels_to_the_next_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Answered(FLIGHTS)
    ids = [log.predict([1] * 30, day=day, scores=[0.7] * 30) for day in range(4)]
    for day in range(3):
        summaries(Lake(), FLIGHTS, RUN, window(day))
    log.label([*ids[0], *ids[1]], [1] * 60)
    real = summary_module._made

    def killed(*args: Any) -> Any:
        if args[3] == window(3):
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(summary_module, "_made", killed)
        with pytest.raises(KeyboardInterrupt):
            summaries(Lake(), FLIGHTS, RUN, window(3))
    assert [each.every.labelled for each in summaries(Lake(), FLIGHTS, RUN, window(3))] == [30, 30, 0, 0]


def test_a_label_that_comes_while_a_check_reads_is_new_the_next_time(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Answered(FLIGHTS)
    ids = [log.predict([1] * 30, day=day, scores=[0.7] * 30) for day in range(3)]
    log.label(ids[2], [1] * 30, hour=49)
    summaries(Lake(), FLIGHTS, RUN, window(0))
    real = summary_module._changed

    def slow(*args: Any) -> Any:
        found = real(*args)
        log.label(ids[0], [1] * 30)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(summary_module, "_changed", slow)
        summaries(Lake(), FLIGHTS, RUN, window(1))
    assert [each.every.labelled for each in summaries(Lake(), FLIGHTS, RUN, window(2))] == [30, 0, 30]


def test_labels_that_were_looked_at_are_not_looked_for_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, read = Answered(FLIGHTS), []
    for day in range(3):
        log.label(log.predict([1] * 30, day=day, scores=[0.7] * 30), [1] * 30, hour=24 * day + 1)
        summaries(Lake(), FLIGHTS, RUN, window(day))
    real = summary_module._new_labels
    monkeypatch.setattr(
        summary_module, "_new_labels", lambda *args: read.append(len(found := real(*args))) or found
    )
    log.label(log.predict([1] * 7, day=3, scores=[0.7] * 7), [1] * 7, hour=73)
    for _ in range(2):
        summaries(Lake(), FLIGHTS, RUN, window(3))
    assert read == [7, 0]


def test_the_newest_label_counts_and_other_versions_rows_do_not(home: Path) -> None:
    log = Answered(FLIGHTS)
    ids = log.predict([1, 0], scores=[0.7, 0.2])
    log.label(ids, [0, 0])
    log.label(ids[:1], [1], hour=1)
    assert summaries(Lake(), FLIGHTS, RUN, window(0))[0].every.labels == {"1": 1, "0": 1}
    assert summaries(Lake(), FLIGHTS, "b" * 32, window(0))[0].every.rows == 0


def test_numbers_are_put_into_the_bins_of_their_groups(home: Path) -> None:
    log = Answered(FLIGHTS)
    log.predict([1] * 4, scores=[0.7] * 4, distance_miles=[100, 500, 999, 2000])
    by = Group("distance_miles", (500.0, 1000.0))
    [found] = summaries(Lake(), FLIGHTS, RUN, window(0), (by,))
    assert {each.value: each.rows for each in found.groups} == {
        "(-inf, 500)": 1,
        "[500, 1000)": 2,
        "[1000, inf)": 1,
    }


def test_a_model_that_was_never_asked_has_an_empty_window(home: Path) -> None:
    [found] = summaries(Lake(), FLIGHTS, RUN, window(0), (Group("origin"),))
    assert (found.every.rows, found.every.labelled, found.groups) == (0, 0, ())
