"""Data sets from Parquet files with an image and a label column, as on the Hugging Face hub."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dbray.datasets.archives import dataset_of_arrays
from dbray.datasets.dataset import Dataset
from dbray.datasets.description import listed, said_by
from dbray.datasets.image_reading import read_image_bytes
from dbray.errors import UserError

# What the files of a split begin with; of several that are there, the first is taken.
SPLITS = {"train": ("train",), "test": ("test", "validation", "valid", "val")}
LABELS = ("label", "labels", "fine_label", "target", "class")


def load_parquet(path: Path) -> Dataset:
    """Read ``train*.parquet`` and ``test*.parquet`` (or ``validation*``) below a folder.

    The image column holds the bytes of image files, alone or in a struct with a field ``bytes``;
    the label column is of class numbers, whose names are read where the files carry them.

    Raises
    ------
    UserError
        If there are no such files or columns, or an image cannot be read.
    """
    where = f"parquet:{path}"
    try:
        splits = {split: _read_split(where, path, split) for split in SPLITS}
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{where}: cannot be read: {said_by(error)}") from error
    arrays: dict[str, NDArray[Any]] = {}
    notes: Counter[str] = Counter()
    for split, (images, labels, names, said) in splits.items():
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
        notes.update(said)
        if names:
            arrays["class_names"] = np.array(names)
    return dataset_of_arrays(where, f"parquet:{path.name}", arrays, list(notes))


def _read_split(
    where: str, path: Path, split: str
) -> tuple[NDArray[np.uint8], NDArray[Any], list[str], list[str]]:
    """Images (n, 3, H, W), labels (n,), names of the classes, notes."""
    files = _files(where, path, split)
    tables = [pq.read_table(file) for file in files]
    schema = tables[0].schema
    image, label = _image_column(where, schema), _label_column(where, schema)
    pictures: list[NDArray[np.uint8]] = []
    notes: Counter[str] = Counter()
    for file, table in zip(files, tables, strict=True):
        for row, data in enumerate(_bytes(table[image])):
            picture = read_image_bytes(Path(f"{file}, row {row}"), data)
            if pictures and picture.pixels.shape != pictures[0].shape:
                raise UserError(
                    f"{file}, row {row}: is {picture.pixels.shape[1]}x{picture.pixels.shape[0]} "
                    f"pixels, the first image {pictures[0].shape[1]}x{pictures[0].shape[0]}; "
                    "resize them to one size"
                )
            pictures.append(picture.pixels)
            notes.update(picture.notes)
    if not pictures:
        raise UserError(f"{where}: has no {split} images")
    labels = np.concatenate([table[label].to_numpy() for table in tables])
    unused = [name for name in schema.names if name not in (image, label)]
    said = [*notes, *([f"left out: {listed(unused)}"] if unused else [])]
    return np.stack(pictures).transpose(0, 3, 1, 2), labels, _class_names(schema, label), said


def _files(where: str, path: Path, split: str) -> list[Path]:
    for begins in SPLITS[split]:
        found = sorted(path.rglob(f"{begins}*.parquet"))
        if found:
            return found
    wanted = " or ".join(f"{begins}*.parquet" for begins in SPLITS[split])
    raise UserError(f"{where}: has no {wanted}")


def _image_column(where: str, schema: pa.Schema) -> str:
    found = [field.name for field in schema if _holds_files(field.type)]
    if len(found) != 1:
        what = f"several columns of images: {listed(found)}" if found else "no column of images"
        raise UserError(f"{where}: has {what}; the columns are {listed(schema.names, 8)}")
    return str(found[0])


def _holds_files(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _is_bytes(field.type) for field in kind)
    return _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _label_column(where: str, schema: pa.Schema) -> str:
    for name in LABELS:
        if name in schema.names:
            return name
    columns = listed(schema.names, 8)
    raise UserError(f"{where}: has no column {', '.join(LABELS[:-1])} or class among {columns}")


def _bytes(column: pa.ChunkedArray) -> Iterator[bytes]:
    for chunk in column.chunks:
        values = chunk.field("bytes") if pa.types.is_struct(chunk.type) else chunk
        for value in values:
            yield value.as_py() or b""


def _class_names(schema: pa.Schema, label: str) -> list[str]:
    """Names that the files' own description gives the classes, if it does."""
    try:
        described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = described["info"]["features"][label]["names"]
        return [str(name) for name in names]
    except (KeyError, TypeError, ValueError):
        return []
