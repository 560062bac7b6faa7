"""A process that has more than its share of the connections gives some away, and comes to rest."""

import pytest
from perennial_gateway.connections import excess


@pytest.mark.parametrize(
    ("own", "others", "given"),
    [(16, [0], 4), (12, [4], 2), (9, [7], 0), (2, [0], 0), (0, [16], 0), (3, [], 0), (30, [0, 0], 10)],
)
def test_what_a_process_gives_away(own: int, others: list[int], given: int) -> None:
    assert excess(own, others) == given


def test_two_processes_that_know_old_counts_come_to_rest_near_halves() -> None:
    counts, known = [64, 0], [64, 0]
    for _ in range(10):
        given = [excess(counts[0], [known[1]]), excess(counts[1], [known[0]])]
        known = list(counts)
        counts = [counts[0] - given[0] + given[1], counts[1] - given[1] + given[0]]
    assert max(counts) <= 42
    assert excess(counts[0], [counts[1]]) == excess(counts[1], [counts[0]]) == 0
