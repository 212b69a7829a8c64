"""Croissant metadata (mlcommons.org/croissant, version 1.0) of an exported study."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from dbray.export.card import DESCRIBED, Schemas
from dbray.export.runs import Exported

_TERMS = (
    *("citeAs", "column", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
    *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source"),
    *("subField", "transform", "equivalentProperty"),
)
CONTEXT = {  # what every Croissant document begins with
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in sorted(_TERMS)},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
CITE = (
    "Somepalli et al.: Can Neural Nets Learn the Same Model Twice? Investigating Reproducibility "
    "and Double Descent from the Decision Boundary Perspective. CVPR 2022"
)
FORMAT = "application/x-parquet"


def croissant(study: Exported, folder: Path, schemas: Schemas) -> dict[str, Any]:
    """A JSON-LD document that names the Parquet files of the folder and each of their columns.

    A table in one file has its checksum; one in a file for each trial is a set of files.
    """
    files = [
        _files(name, place) if "*" in place else _file(place, (folder / place).read_bytes())
        for name, (place, _, _) in schemas.items()
    ]
    started = [each["started"] for each in study.info["invocations"]]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": study.name,
        "description": study.info["title"],
        "citeAs": CITE,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **({"datePublished": max(started)} if started else {}),
        "distribution": files,
        "recordSet": [
            _records(name, place, schema) for name, (place, schema, _) in schemas.items()
        ],
    }


def _file(place: str, data: bytes) -> dict[str, str]:
    return {
        "@type": "cr:FileObject",
        "@id": place,
        "name": place,
        "contentUrl": place,
        "encodingFormat": FORMAT,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _files(name: str, places: str) -> dict[str, str]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-files",
        "name": f"{name}-files",
        "includes": places,
        "encodingFormat": FORMAT,
    }


def _records(name: str, place: str, schema: pa.Schema) -> dict[str, Any]:
    source = (
        {"fileSet": {"@id": f"{name}-files"}} if "*" in place else {"fileObject": {"@id": place}}
    )
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": DESCRIBED[name],
        "field": [_field(name, source, column) for column in schema],
    }


def _field(records: str, source: dict[str, Any], column: pa.Field) -> dict[str, Any]:
    kind = column.type
    listed = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{column.name}",
        "name": f"{records}/{column.name}",
        "dataType": _data_type(kind.value_type if listed else kind),
        **({"repeated": True} if listed else {}),
        "source": {**source, "extract": {"column": column.name}},
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:ImageObject" if pa.types.is_binary(kind) else "sc:Text"
