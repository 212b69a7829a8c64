"""Reading label maps: a range of planes of a committed trial, and no more than that."""

from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dbray.store.records import CommittedTrial
from dbray.store.schemas import label_maps_from_table
from dbray.store.study import Study


def read_label_maps(
    study: Study, trial: CommittedTrial, first: int, stop: int, *, role: str = "predictions"
) -> NDArray[Any]:
    """Label maps of the planes with ids in [first, stop), in the order of their ids.

    Parameters
    ----------
    role
        Which files: ``predictions`` (score planes) or ``pictures``.

    Returns
    -------
    uint8 or uint16, shape (P, R, R). Row groups outside the range are not fetched.
    """
    ids: list[NDArray[np.int64]] = []
    maps: list[NDArray[Any]] = []
    for name in sorted(trial.files):
        if not name.startswith(role):
            continue
        with study.open_table(f"trials/{trial.trial_id}/{name}") as file:
            groups = [g for g in range(file.num_row_groups) if _overlaps(file, g, first, stop)]
            table = file.read_row_groups(groups, columns=["plane_id", "labels"])
        plane_ids = table["plane_id"].to_numpy()
        wanted = (plane_ids >= first) & (plane_ids < stop)
        ids.append(plane_ids[wanted])
        maps.append(label_maps_from_table(table)[wanted])
    order = np.argsort(np.concatenate(ids), kind="stable")
    return np.concatenate(maps)[order]


def _overlaps(file: pq.ParquetFile, row_group: int, first: int, stop: int) -> bool:
    column = file.schema_arrow.get_field_index("plane_id")
    statistics = file.metadata.row_group(row_group).column(column).statistics
    return bool(statistics.min < stop and statistics.max >= first)
