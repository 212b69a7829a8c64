"""Columns of every table in a study, and how label maps become rows."""

import io
from collections.abc import Iterable, Mapping, Sequence
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
ANCHORS = pa.schema(
    [
        ("plane_id", pa.int32()),
        ("position", pa.int8()),
        ("png", pa.binary()),
        ("pixels", pa.binary()),
    ]
)
THUMBNAILS = pa.schema([("image_id", pa.int32()), ("png", pa.binary())])
LINES = pa.schema(
    [
        ("trial_id", pa.string()),
        ("kind", pa.string()),
        ("image_id", pa.int32()),
        ("toward_id", pa.int32()),
        ("length", pa.float64()),
        ("margin", pa.float64()),
        ("censored", pa.bool_()),
        ("skips", pa.int32()),
    ]
)
# Of the index; nothing in it may be missing.
RECORDS = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("modified", pa.int64(), nullable=False),
        pa.field("contents", pa.binary(), nullable=False),
    ]
)


BYTES = ("labels", "confidence", "probabilities", "contents")  # columns that repeat too rarely

# A row group is the least that a reader of a range of planes fetches.
PLANES_PER_ROW_GROUP = 128


def label_maps_table(
    trial_id: str,
    plane_ids: Sequence[int],
    label_maps: Iterable[NDArray[np.uint8] | NDArray[np.uint16]],
    *,
    classes: int,
    extent: float,
    confidences: Sequence[NDArray[np.uint8]] = (),
) -> pa.Table:
    """Label maps as rows: ``trial_id``, ``plane_id``, ``labels`` (the bytes of one R x R map).

    With confidences, one for each map, a column ``confidence`` holds their bytes likewise.

    The schema's metadata hold what a reader needs to turn the bytes into an array: ``resolution``
    (R), ``dtype`` (``uint8``, or ``uint16`` little-endian), ``classes`` (C) and ``extent``.
    """
    maps = np.stack([np.ascontiguousarray(label_map) for label_map in label_maps])  # (P, R, R)
    columns = {
        "trial_id": pa.array([trial_id] * len(maps)),
        "plane_id": pa.array(plane_ids, pa.int32()),
        "labels": _bytes_column(maps),
    }
    if confidences:
        columns["confidence"] = _bytes_column(np.stack(confidences))
    metadata = {
        "resolution": str(maps.shape[1]),
        "dtype": maps.dtype.name,
        "classes": str(classes),
        "extent": repr(extent),
    }
    return pa.table(columns, metadata=metadata)


def label_maps_from_table(table: pa.Table) -> NDArray[Any]:
    """Label maps of all rows, unsigned integers, shape (P, R, R).

    Raises
    ------
    ValueError
        If the table is none of label maps, or names a class that its metadata do not know.
    """
    metadata = _metadata(table)
    try:
        dtype, side, classes = (metadata[key] for key in ("dtype", "resolution", "classes"))
        kind = {"uint8": "uint8", "uint16": "uint16"}[dtype]
        maps = _arrays(table, "labels", kind, (int(side),) * 2)
        largest = int(maps.max(initial=0))
    except (KeyError, ValueError, AttributeError) as error:
        raise ValueError("holds no label maps") from error
    if largest >= int(classes):
        raise ValueError(f"names class {largest}, and there are {classes}")
    return maps


def confidences_from_table(table: pa.Table) -> NDArray[np.uint8]:
    """Confidences of all rows, uint8, shape (P, R, R)."""
    return _arrays(table, "confidence", "uint8", (int(_metadata(table)["resolution"]),) * 2)


def predictions_table(
    image_ids: NDArray[np.int64], labels: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> pa.Table:
    """Answers on n test images: ``image_id``, ``label``, ``predicted``, ``probabilities``.

    Parameters
    ----------
    probabilities
        shape (n, C); stored as the bytes of C little-endian float32 numbers a row.
    """
    return pa.table(
        {
            "image_id": pa.array(image_ids, pa.int32()),
            "label": pa.array(labels, pa.int32()),
            "predicted": pa.array(probabilities.argmax(axis=1), pa.int32()),
            "probabilities": _bytes_column(np.ascontiguousarray(probabilities, "<f4")),
        }
    )


def lines_table(trial_id: str, kind: str, columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    """Lines of one kind as rows of ``LINES``; ``columns`` holds all but the first two."""
    count = len(columns["image_id"])
    named = {"trial_id": [trial_id] * count, "kind": [kind] * count}
    return pa.Table.from_pydict({**named, **columns}, schema=LINES)


def probabilities_from_table(table: pa.Table) -> NDArray[np.float32]:
    """Class probabilities of all rows of a table of test predictions, shape (n, C)."""
    classes = table.schema.field("probabilities").type.byte_width // 4
    return _arrays(table, "probabilities", "float32", (classes,))


def _bytes_column(arrays: NDArray[Any]) -> pa.Array:
    """One row of bytes for each of the arrays along the first axis."""
    width = arrays[0].nbytes
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(arrays), [None, pa.py_buffer(np.ascontiguousarray(arrays))]
    )


def _arrays(table: pa.Table, column: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Inverse of ``_bytes_column``, shape (rows, *shape)."""
    kind = np.dtype(dtype).newbyteorder("<")
    chunks = [
        np.frombuffer(chunk.buffers()[1], kind).reshape(-1, *shape)[
            chunk.offset : chunk.offset + len(chunk)
        ]
        for chunk in table[column].chunks
        if len(chunk)
    ]
    if not chunks:
        return np.empty((0, *shape), kind)
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _metadata(table: pa.Table) -> dict[str, str]:
    metadata = table.schema.metadata or {}
    return {key.decode(errors="replace"): v.decode(errors="replace") for key, v in metadata.items()}


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as a Parquet file; equal tables give equal bytes.

    Label maps compress well by themselves (zstd) and repeat too rarely for a dictionary.
    """
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=[name for name in table.column_names if name not in BYTES],
        row_group_size=PLANES_PER_ROW_GROUP if "labels" in table.column_names else None,
    )
    return buffer.getvalue()
