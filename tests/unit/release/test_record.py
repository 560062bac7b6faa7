"""How long a release waits for what comes next before it counts as left."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.release.record import GRACE, until
from tasks.release.stages import asks_before, plan
from tasks.spec import PRODUCTION, ReleaseSpec


@pytest.mark.parametrize(
    "rules",
    [
        {"environments": ["dev"], "approval": {"when": "before_canary", "seconds": 7200}},
        {"mode": "canary", "approval": {"when": "before_full", "seconds": 7200}},
        {"mode": "blue_green", "approval": {"when": "before_canary", "seconds": 7200}},
        {"mode": "canary"},
    ],
)
def test_a_release_waits_as_long_as_the_question_that_is_asked_next(rules: dict[str, Any]) -> None:
    release = ReleaseSpec.model_validate(rules)

    for name in (*plan(release), PRODUCTION):
        waits = until(release, name) - datetime.now(UTC)
        longest = GRACE + timedelta(hours=2) if asks_before(release, name) else GRACE
        assert longest - timedelta(minutes=1) < waits <= longest, name


def test_a_person_is_asked_before_a_production_without_stages_where_one_is_asked_at_all() -> None:
    asking = ReleaseSpec.model_validate({"mode": "canary", "approval": "before_canary"})
    assert asks_before(asking, PRODUCTION)
    assert not asks_before(ReleaseSpec(), PRODUCTION)
