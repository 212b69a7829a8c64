"""Columns of every table in a study, and how label maps become rows."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

HISTORY = pa.schema(
    [
        ("epoch", pa.int32()),
        ("train_loss", pa.float64()),
        ("train_accuracy", pa.float64()),
        ("test_accuracy", pa.float64()),
        ("seconds", pa.float64()),
    ]
)
PLANES = pa.schema(
    [
        ("plane_id", pa.int32()),
        ("kind", pa.string()),
        ("image_ids", pa.list_(pa.int32())),
        ("anchor_classes", pa.list_(pa.int16())),
        ("coordinates", pa.list_(pa.float32())),
        ("seed", pa.int64()),
    ]
)
ANCHORS = pa.schema([("plane_id", pa.int32()), ("position", pa.int8()), ("png", pa.binary())])
AGREEMENT = pa.schema(
    [
        ("trial_a", pa.string()),
        ("trial_b", pa.string()),
        ("kind", pa.string()),
        ("planes", pa.int32()),
        ("points", pa.int64()),
        ("agreements", pa.int64()),
        ("agreement", pa.float64()),
        ("kappa", pa.float64()),
        ("jaccard", pa.float64()),
    ]
)
AGREEMENT_BY_GROUP = pa.schema(
    [
        ("group_a", pa.string()),
        ("group_b", pa.string()),
        ("kind", pa.string()),
        ("agreement", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("kappa", pa.float64()),
        ("jaccard", pa.float64()),
        ("pairs", pa.int32()),
        ("planes", pa.int32()),
    ]
)
FRAGMENTATION = pa.schema(
    [
        ("trial_id", pa.string()),
        ("kind", pa.string()),
        ("plane_id", pa.int32()),
        ("components", pa.int32()),
        ("classes_present", pa.int32()),
    ]
)

# A row group is the least that a reader of a range of planes fetches.
PLANES_PER_ROW_GROUP = 128


def label_maps_table(
    trial_id: str,
    plane_ids: Sequence[int],
    label_maps: Iterable[NDArray[np.uint8] | NDArray[np.uint16]],
    *,
    classes: int,
    extent: float,
) -> pa.Table:
    """Label maps as rows: ``trial_id``, ``plane_id``, ``labels`` (the bytes of one R x R map).

    The schema's metadata hold what a reader needs to turn the bytes into an array: ``resolution``
    (R), ``dtype`` (``uint8``, or ``uint16`` little-endian), ``classes`` (C) and ``extent``.
    """
    maps = np.stack([np.ascontiguousarray(label_map) for label_map in label_maps])  # (P, R, R)
    width = maps[0].nbytes
    schema = pa.schema(
        [
            ("trial_id", pa.string()),
            ("plane_id", pa.int32()),
            ("labels", pa.binary(width)),
        ],
        metadata={
            "resolution": str(maps.shape[1]),
            "dtype": maps.dtype.name,
            "classes": str(classes),
            "extent": repr(extent),
        },
    )
    labels = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(maps), [None, pa.py_buffer(maps)]
    )
    columns = [pa.array([trial_id] * len(maps)), pa.array(plane_ids, pa.int32()), labels]
    return pa.Table.from_arrays(columns, schema=schema)


def label_maps_from_table(table: pa.Table) -> NDArray[Any]:
    """Label maps of all rows, unsigned integers, shape (P, R, R)."""
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    resolution = int(metadata["resolution"])
    dtype = np.dtype(metadata["dtype"]).newbyteorder("<")
    chunks = [
        np.frombuffer(chunk.buffers()[1], dtype).reshape(-1, resolution, resolution)[
            chunk.offset : chunk.offset + len(chunk)
        ]
        for chunk in table["labels"].chunks
        if len(chunk)
    ]
    if not chunks:
        return np.empty((0, resolution, resolution), dtype)
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as a Parquet file; equal tables give equal bytes.

    Label maps compress well by themselves (zstd) and repeat too rarely for a dictionary.
    """
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        use_dictionary=[name for name in table.column_names if name != "labels"],
        row_group_size=PLANES_PER_ROW_GROUP if "labels" in table.column_names else None,
    )
    return buffer.getvalue()
