"""How a share is told to people: in percent, for `1 of 12` and `1` of a share are not told apart else."""


def percent(share: float) -> str:
    """A share as people read it: 0.05 as `5 %`, 1 as `100 %`."""
    return f"{100 * share:.4g} %"


def at_least(share: float) -> str:
    """How many of something there must be, by a share of it: `all` is 1."""
    return "all" if share >= 1 else f"at least {percent(share)}"
