"""Decide which of a sender's requests are kept out of training, from what was measured of its day.

Plain data in, plain data out: a verdict can be replayed from its entry in the ledger.
"""

from tasks.contracts import Crowd, DoorVerdict, SenderDay

TIMES_ORDINARY = 3
"""Natural repetition differs by day and by sender: a crowd is one where it is so many times the ordinary."""
FEWEST_IN_A_CROWD = 20


def decide(day: SenderDay) -> DoorVerdict:
    """Judge what a sender asked on one day, by the reference and by the other senders of that day.

    Where the other senders have as much that is far, or half of it, the world has changed, and the drift
    check answers that.
    """
    others = day.far_share_of_others
    alone = others is None or 2 * others < day.far / max(day.requests, 1)
    return DoorVerdict(
        far=day.far > 0 and alone,
        flood_above=_limit(day.flood, day.requests),
        probing_above=_limit(day.probing, day.requests),
    )


def _limit(crowd: Crowd, requests: int) -> int:
    natural = max(crowd.ordinary, (crowd.share_of_others or 0.0) * requests)
    return max(FEWEST_IN_A_CROWD, int(TIMES_ORDINARY * natural))
