"""What a page shows of a study of many trials: some groups, and the first trials of each.

Files hold everything; a page must open at once. Which trials are left out depends on nothing but
the study, and the page says that there are more.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

GROUPS_SHOWN = 80  # in figures and tables
GROUPS_PICTURED = 24  # rows of pictures: two screens, before what they are about is said in numbers
TRIALS_KEPT = 1000  # whose pairs within groups, and histories, are read
MOST_OF_A_GROUP = 100  # of these: its pairs are their square
TRIALS_COMPARED = 200  # whose pairs across groups are read, too
MAX_ROWS = 4500  # of a figure's data; Altair refuses more than 5000


def shown_labels(trials: pd.DataFrame, groups: pd.DataFrame) -> list[str]:
    """Labels of groups that a page shows: evenly spaced from the most to the least reproducible.

    Groups without two finished trials count as less reproducible than all others.
    """
    within = groups[groups.group_a == groups.group_b].set_index("group_a").agreement
    agreement = pd.Series({str(label): within.get(label, -1.0) for label in trials.label.unique()})
    ordered = agreement.sort_values(ascending=False, kind="stable").index
    return evenly_spaced(list(ordered), GROUPS_SHOWN)


def evenly_spaced(labels: Sequence[str], at_most: int) -> list[str]:
    """Some of the labels, in their order, the first and the last among them."""
    places = np.linspace(0, len(labels) - 1, min(at_most, len(labels)))
    return [labels[place] for place in places.round().astype(int)]


def first_of_groups(
    trials: pd.DataFrame, at_most: int, *, least: int = 2, most: int = MOST_OF_A_GROUP
) -> pd.DataFrame:
    """The same number of first trials of each group, about ``at_most`` in all.

    ``least`` and ``most`` bound that number.
    """
    rank = trials.groupby("label").cumcount()
    up_to = rank.value_counts().sort_index().cumsum()  # trials, by the last rank that is taken
    count = int((up_to <= at_most).sum())
    return trials[rank < min(max(count, least), most)]


def thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """Every so many-th row, so that ``MAX_ROWS`` are left at most."""
    return frame.iloc[:: max(1, -(-len(frame) // MAX_ROWS))]
