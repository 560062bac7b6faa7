"""Does the archive answer as the model that was trained?"""

from tasks.contracts import AsTrained, RuleVerdict
from tasks.spec import kind_of

TOLERANCE = 0.001
"""Of a share absolute, of a metric in the label's units relative: rounding on other hardware stays far below
it, and a preparation that matters does not."""
TURNED_ROWS = 2
"""So many answers may be others by rounding, where a score is next to the threshold."""


def serves_as_trained(found: AsTrained) -> RuleVerdict:
    """An archive whose validation metric is another than the training's rejects, for the better as for the
    worse: its handler prepares the rows in another way, or holds other weights.
    """
    if kind_of(found.metric).in_label_units:
        limit = TOLERANCE * max(1.0, abs(found.trained))
    else:
        limit = max(TOLERANCE, TURNED_ROWS / max(1, found.rows))
    if found.served is None:
        gap, said = None, f"the archive's answers to the {found.rows} validation rows do not define it"
    else:
        gap = abs(found.served - found.trained)
        said = f"the archive answers the same {found.rows} validation rows with {found.served:.4f}"
    passed = gap is not None and gap <= limit
    why = f"The training measured {found.metric} {found.trained:.4f}, and {said}."
    if not passed:
        why += (
            " The handler prepares rows in another way than the training program, or the archive holds other "
            "weights: let both call the same function."
        )
    return RuleVerdict(
        rule="serves_as_trained", value=gap, threshold=limit, passed=passed, blocks="reject", why=why
    )
