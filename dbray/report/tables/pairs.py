"""Pairs of trials by measures that stand in different tables."""

import pandas as pd


def similarity_frame(similarity: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs of trials on the test images beside their agreement on planes.

    The two tables may name the trials of a pair in either order; the order of ``pairs`` stays.
    """
    columns = ["agreement", "label_a", "label_b", "group_a", "group_b", "seed_a", "seed_b"]
    about = _by_pair(pairs[["trial_a", "trial_b", *columns]])
    measures = _by_pair(similarity).drop(columns=["trial_a", "trial_b"])
    return measures.merge(about, on=["first", "second"]).drop(columns=["first", "second"])


def _by_pair(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns ``first`` and ``second`` with each pair's two ids in their own order."""
    swapped = frame.trial_a > frame.trial_b
    return frame.assign(
        first=frame.trial_a.mask(swapped, frame.trial_b),
        second=frame.trial_b.mask(swapped, frame.trial_a),
    )
