"""A release is under way until an entry of its own, or a change of what serves, ends it."""

from datetime import timedelta

import pytest

from tasks.contracts import Action
from tasks.release.under_way import ENDS, under_way
from tests.unit.release.test_states import NOW, Told


def decided(told: Told, release_id: str, after: str) -> None:
    until = (NOW + timedelta(days=1)).isoformat()
    about = {"release_id": release_id, "version": "2", "at": after, "until": until}
    told.add(Action.RELEASE, "1", after, **about)


@pytest.mark.parametrize("after", ENDS)
def test_the_end_of_another_release_ends_none(after: str) -> None:
    told = Told()
    decided(told, "m-2", "accepted")
    decided(told, "m-3", after)
    found = under_way(told.entries)
    assert found is not None
    assert found.release_id == "m-2"

    decided(told, "m-2", after)
    assert under_way(told.entries) is None
