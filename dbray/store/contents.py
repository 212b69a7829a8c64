"""What a trial's tables must hold, whatever their checksums say of the way they took."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dbray.store.records import CommittedTrial
from dbray.store.schemas import HISTORY, LINES, label_maps_from_table

ANSWERS = {"image_id", "label", "predicted", "probabilities"}


def wrong_contents(
    name: str, data: bytes, trial: CommittedTrial, described: Mapping[str, Any]
) -> str | None:
    """Why a trial's file is not what its name promises; None if it is.

    Parameters
    ----------
    described
        The study's description, which says how many points and classes there are.
    """
    if not name.endswith(".parquet"):
        return None
    try:
        schema = pq.ParquetFile(io.BytesIO(data)).schema_arrow
    except (OSError, pa.ArrowInvalid):
        return "is no Parquet file"
    role = name.removesuffix(".parquet").partition("-")[0]
    if role == "predictions":
        problem = _label_maps(schema, described, described["planes"]["resolution"])
        return problem or _labels(data)
    if role == "pictures":
        return _label_maps(schema, described, trial.picture_resolution)
    wanted = {"history": set(HISTORY.names), "lines": set(LINES.names)}.get(role, set())
    wanted = ANSWERS if name == "test_predictions.parquet" else wanted
    lacking = sorted(wanted - set(schema.names))
    return f"has no column {lacking[0]}" if lacking else None


def _labels(data: bytes) -> str | None:
    try:
        label_maps_from_table(pq.ParquetFile(io.BytesIO(data)).read(["labels"]))
    except (ValueError, OSError, pa.ArrowInvalid) as error:
        return str(error)
    return None


def _label_maps(schema: pa.Schema, described: Mapping[str, Any], resolution: int) -> str | None:
    about = {k.decode(errors="replace"): v for k, v in (schema.metadata or {}).items()}
    classes = len(described["dataset"]["class_names"])
    dtype = "uint8" if classes <= 256 else "uint16"
    wanted = {"resolution": str(resolution), "dtype": dtype, "classes": str(classes)}
    for key, value in wanted.items():
        found = about.get(key, b"").decode(errors="replace")
        if found != value:
            return f"says {key} {found!r}, and the study's is {value}"
    width = resolution**2 * np.dtype(dtype).itemsize
    columns = {"plane_id": pa.int32(), "labels": pa.binary(width)}
    for name, kind in columns.items():
        if name not in schema.names or schema.field(name).type != kind:
            return f"has no column {name} of {kind}"
    return None
