"""A thread makes the next item: in order, not further ahead than one, and faults come where they belong."""

from collections.abc import Iterator

import pytest

from tasks.data.ahead import ahead


def test_each_item_comes_once_and_in_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter(()))) == []


def test_a_fault_comes_behind_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third is broken")

    seen = []
    with pytest.raises(ValueError, match="the third is broken"):
        seen.extend(ahead(items()))
    assert seen == [1, 2]


def test_no_more_than_one_item_is_made_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    given = ahead(items())
    assert next(given) == 0
    given.close()
    assert len(made) <= 2
