"""How a score and its interval are written, on the page and on the screen."""

import math

PLANES_ONLY = "planes only"  # mark of an interval that says nothing about new seeds
PLANES_ONLY_MEANS = (
    "Two seeds make one pair, so that only the planes can vary. Such an interval is marked planes "
    "only: it says nothing about new seeds, and decides nothing."
)


def with_interval(
    value: float,
    low: float,
    high: float,
    *,
    planes_only: bool = False,
    signed: bool = False,
    digits: int = 3,
) -> str:
    """A score with its interval in brackets, alone where there is none.

    Examples
    --------
    >>> with_interval(0.7124, 0.69, 0.73)
    '0.712 [0.690, 0.730]'
    """
    form = f"{'+' if signed else ''}.{digits}f"
    if math.isnan(low):
        return f"{value:{form}}"
    mark = f" {PLANES_ONLY}" if planes_only else ""
    return f"{value:{form}} [{low:{form}}, {high:{form}}]{mark}"
