"""A table is predicted through the real gateway: its version answers, and its log has each prediction."""

from pathlib import Path

import pytest

from tasks.data.predict_batch import predict_batch
from tasks.settings import settings
from tasks.stores.lake import Lake
from tests.unit.data.test_predict_batch import asked, scored
from tests.unit.gateway import models
from tests.unit.gateway.processes import running
from tests.unit.reviews import as_table, review, reviews


def test_each_row_is_answered_by_what_serves_is_in_its_log_and_says_why_it_was_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        models.serving() as versions,
        running(versions, home, f"sqlite:///{home / 'gateway.db'}", workers=1) as gateway,
    ):
        versions.add("1", 1)
        monkeypatch.setenv("PERENNIAL_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("PERENNIAL_GATEWAY_TOKEN", models.STEPS["Authorization"].removeprefix("Bearer "))
        settings.cache_clear()
        gateway.put(models.route("1"))
        Lake().append("reviews", as_table([*reviews(150), review(150, text=None)]), batch_id="first")

        request = asked().model_copy(update={"spec": asked().spec.model_copy(update={"name": "m"})})
        done = predict_batch(request)
        log = gateway.internal("GET", "/log/predictions", params={"model": "m", "after": 0, "limit": 1000})

    rows = scored()
    assert (done.rows, done.errors, done.versions) == (151, 1, ("1",))
    assert {row["prediction_id"] for row in rows} - {None} == {row["prediction_id"] for row in log["rows"]}
    assert {row["sent_by"] for row in log["rows"]} == {"predict_batch"}
    (refused,) = [row for row in rows if row["error"]]
    assert refused["review_id"] == "r150"
    assert refused["error"].startswith("422: ")
