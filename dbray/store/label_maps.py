"""Reading label maps: a range of planes of a committed trial, and no more than that."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dbray.errors import StorageError
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
        maps.append(_checked(study, trial, name, table)[wanted])
    if not maps:
        raise StorageError(f"{study.location}/trials/{trial.trial_id}: has no {role}")
    order = np.argsort(np.concatenate(ids), kind="stable")
    return np.concatenate(maps)[order]


def _checked(study: Study, trial: CommittedTrial, name: str, table: pa.Table) -> NDArray[Any]:
    """Label maps of a file, none of which names a class that there is not."""
    try:
        return label_maps_from_table(table)
    except ValueError as error:
        raise StorageError(
            f"{study.location}/trials/{trial.trial_id}/{name}: {error}; delete the trial's "
            "committed.json, then run the study's command again"
        ) from error


def _overlaps(file: pq.ParquetFile, row_group: int, first: int, stop: int) -> bool:
    column = file.schema_arrow.get_field_index("plane_id")
    statistics = file.metadata.row_group(row_group).column(column).statistics
    return bool(statistics.min < stop and statistics.max >= first)
