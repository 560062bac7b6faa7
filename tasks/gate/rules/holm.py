"""How sure several tests are together."""

from collections.abc import Sequence

SURE = 0.05
"""The probability that any of the slices is called bad where none is."""


def are_sure(p_values: Sequence[float]) -> list[bool]:
    """Of which hypotheses it is sure that they are wrong, for all of them together.

    By hand, because statsmodels' `multipletests` takes seconds to load and a tenth of one for each call; a
    test holds the two to the same answers.

    Source: Holm, Scand. J. Stat. 6:65 (1979).
    """
    sure = [False] * len(p_values)
    for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[place] > SURE / (len(p_values) - step):
            break
        sure[place] = True
    return sure
