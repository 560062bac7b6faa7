"""How a share is told to people: in percent, for `1 of 12` and `1` of a share are not told apart else."""

from decimal import Decimal

DIGITS = 4


def percent(share: float) -> str:
    """A share as people read it: 0.05 as `5 %`, 1 as `100 %`, 0.999999 as `99.9999 %`, -999 as `-99,900 %`.

    It has four digits, or as many as tell it from none and from all.
    """
    whole = 100 * share
    found = f"{whole:.{DIGITS}g}"
    if share < 1 and float(found) == 100:
        found = f"{100 - float(f'{100 * (1 - share):.1g}'):.15g}"
    return f"{Decimal(found):,f} %"


def at_least(share: float) -> str:
    """How many of something there must be, by a share of it: `all` is 1."""
    return "all" if share >= 1 else f"at least {percent(share)}"
