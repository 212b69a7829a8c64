"""Score tables as frames; those that grow with the pairs of trials are read piece by piece."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dbray.errors import UserError
from dbray.store import Study
from dbray.store.scope import check_columns

ROWS_AT_ONCE = 2**17


def read_scores(study: Study, name: str) -> pd.DataFrame:
    """A whole score table.

    Raises
    ------
    UserError
        If it is not there.
    """
    return _read(study, name, lambda batch: batch)


def read_pairs(study: Study, name: str, kept: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table of pairs of trials that a page uses.

    Parameters
    ----------
    kept
        Trials, with ``trial_id`` and ``label``, whose pairs within their groups are taken.
    compared
        Trials, some of ``kept``, all of whose pairs are taken.
    """
    ids = pa.array(kept.trial_id, pa.string())
    # By a trial's place in ``kept``; the last place is that of all other trials.
    label = np.append(kept.label.factorize()[0], -1)
    chosen = np.append(kept.trial_id.isin(compared.trial_id).to_numpy(bool), False)

    def wanted(batch: pa.RecordBatch) -> pa.RecordBatch:
        a, b = (_places(batch[f"trial_{side}"], ids) for side in "ab")
        of_one_group = (label[a] == label[b]) & (label[a] >= 0)
        return batch.filter(pa.array(of_one_group | (chosen[a] & chosen[b])))

    return _read(study, name, wanted)


def read_fragmentation(study: Study) -> pd.DataFrame:
    """Mean ``components`` and number of ``planes`` of each trial on each kind of planes."""

    def sums(batch: pa.RecordBatch) -> pa.RecordBatch:
        by_trial = pa.table(batch).group_by(["trial_id", "kind"], use_threads=False)
        found = by_trial.aggregate([("components", "sum"), ("components", "count")])
        return found.combine_chunks().to_batches()[0]

    parts = _read(study, "fragmentation", sums).groupby(["trial_id", "kind"], sort=False)
    totals = parts[["components_sum", "components_count"]].sum().reset_index()
    return totals.assign(
        components=totals.components_sum / totals.components_count,
        planes=totals.components_count,
    ).drop(columns=["components_sum", "components_count"])


def read_contested(study: Study, count: int) -> tuple[pd.DataFrame, pd.Series]:
    """Rows of ``images`` of those images on which models of one group disagree most often.

    Returns
    -------
    The rows, one a group and image, and of all images by id the share of pairs of models of one
    group that disagree, the largest first.
    """

    def sums(batch: pa.RecordBatch) -> pa.RecordBatch:
        models = batch["models"].to_numpy().astype(np.int64)
        pairs = models * (models - 1) // 2
        columns = {"image_id": batch["image_id"], "pairs": pairs}
        by_image = pa.table({**columns, "apart": pairs * batch["disagreement"].to_numpy()})
        found = by_image.group_by("image_id", use_threads=False)
        totals = found.aggregate([("pairs", "sum"), ("apart", "sum")]).combine_chunks()
        return (totals.to_batches() or [pa.RecordBatch.from_pylist([], schema=totals.schema)])[0]

    totals = _read(study, "images", sums).groupby("image_id").sum()
    shares = (totals.apart_sum / totals.pairs_sum).sort_values(ascending=False, kind="stable")
    chosen = pa.array(shares[shares > 0].index[:count], pa.int32())
    rows = _read(study, "images", lambda b: b.filter(pc.is_in(b["image_id"], chosen)))
    return rows, shares


def _places(column: pa.Array, ids: pa.Array) -> NDArray[np.int32]:
    """Where each of the column's ids stands among others; -1 for one that does not."""
    places: NDArray[np.int32] = pc.fill_null(pc.index_in(column, ids), -1).to_numpy()
    return places


def _read(
    study: Study, name: str, reduce: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> pd.DataFrame:
    """What is left of each piece of a score table, put together."""
    try:
        with study.open_table(f"scores/{name}.parquet") as file:
            check_columns(study, name, file.schema_arrow)
            empty = pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
            pieces = file.iter_batches(ROWS_AT_ONCE, use_threads=False)
            batches = [reduce(piece) for piece in pieces] or [reduce(empty)]
    except FileNotFoundError as error:
        raise UserError(
            f"{study.location}/scores/{name}.parquet: not there; finish the study's sweep, "
            "which scores its trials"
        ) from error
    frame: pd.DataFrame = pa.Table.from_batches(batches).to_pandas()
    return frame
