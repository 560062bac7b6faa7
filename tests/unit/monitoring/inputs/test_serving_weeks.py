"""A reference without days grows by quiet windows alone, and takes no drift of theirs for usual."""

import numpy as np
import pandas as pd

from tasks.monitoring.inputs.joint import threshold_of
from tasks.monitoring.inputs.serving_weeks import grown, missing, quiet_windows
from tests.unit.monitoring.inputs.simulated import Watch, sure


def watch_without_days() -> Watch:
    watch = Watch(days=30, rows=2000)
    watch.reference = watch.reference.model_copy(update={"days": ()})
    return watch


def moved(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(amount=rows["amount"] * np.exp(0.2))


def test_windows_that_were_not_quiet_never_join() -> None:
    watch = watch_without_days()
    for _ in range(22):
        watch.next()
    verdicts = {window.end: "quiet" for window in watch.windows}
    verdicts |= {watch.windows[0].end: "incident", watch.windows[1].end: "suspicious"}
    verdicts |= {watch.windows[2].end: "retrain"}

    quiet = quiet_windows(watch.windows, verdicts)

    assert quiet == tuple(watch.windows[3:])
    assert grown(watch.reference, quiet, {}) is None
    assert missing(watch.reference, len(quiet)) == 1


def test_a_change_too_small_for_an_uncalibrated_check_is_found_once_they_calibrate() -> None:
    watch = watch_without_days()
    for _ in range(20):
        assert sure(watch.next(moved)) == []
    calm = watch_without_days()
    for _ in range(20):
        calm.next()
    for each in (watch, calm):
        made = grown(each.reference, each.windows, {})
        assert made is not None
        assert (made.serving_windows, len(made.days)) == (20, 20)
        each.reference = made

    found = [one for _ in range(4) for one in watch.next(moved)]

    assert ("amount", "location") in sure(found)
    assert [found for _ in range(4) if (found := sure(calm.next()))] == []


def test_what_served_windows_have_in_common_never_raises_the_classifiers_threshold() -> None:
    watch = watch_without_days()
    for _ in range(20):
        watch.next()
    made = grown(watch.reference, watch.windows, {window.end: 0.64 for window in watch.windows})
    assert made is not None
    assert threshold_of(made.joint, 0.65, 0.52, 0.0001, served=True) <= 0.65
