"""A study as a data set for the Hugging Face hub: Parquet files, a card and Croissant metadata.

Label maps and probabilities, bytes in the study's own files, become lists of numbers here: that is
what the hub's viewer, ``datasets`` and Croissant read.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dbray.config import canonical_json
from dbray.export.card import dataset_card
from dbray.export.croissant import croissant
from dbray.export.folders import local_folder, write_changed
from dbray.export.runs import Exported, Outcome
from dbray.store import CommittedTrial
from dbray.store.schemas import (
    HISTORY,
    label_maps_from_table,
    parquet_bytes,
    probabilities_from_table,
)
from dbray.store.score_schemas import SCORE_TABLES

MAPS, ANSWERS = "label_maps", "test_predictions"


def to_huggingface(study: Exported, into: str) -> Outcome:
    """Write the folder; files that would be the same are left alone.

    Raises
    ------
    UserError
        If the folder cannot be made.
    """
    folder = local_folder(into, "huggingface", study.name)
    ids = {trial.trial_id for trial in study.trials}
    for path in [*folder.glob(f"{MAPS}/*.parquet"), *folder.glob(f"{ANSWERS}/*.parquet")]:
        if path.stem not in ids:  # of a trial that the study no longer has
            path.unlink()
    before = _trials_of(folder)
    added = sum(
        [
            _write_trial(study, trial, folder) or trial.trial_id not in before
            for trial in study.trials
        ]
    )
    tables = {f"{name}.parquet": table for name, table in _tables(study)}
    for place, table in tables.items():
        write_changed(folder / place, parquet_bytes(table))
    write_changed(folder / "index.html", study.page)
    schemas = {
        Path(place).stem: (place, table.schema, table.num_rows) for place, table in tables.items()
    }
    for name in (MAPS, ANSWERS):
        files = sorted((folder / name).glob("*.parquet"))
        if files:
            rows = sum(pq.read_metadata(file).num_rows for file in files)
            schemas[name] = (f"{name}/*.parquet", pq.read_schema(files[0]), rows)
    write_changed(folder / "README.md", dataset_card(study, schemas).encode())
    described = json.dumps(croissant(study, folder, schemas), indent=2)
    write_changed(folder / "croissant.json", described.encode())
    then = f"hf upload YOU/{study.name} {folder} --repo-type dataset"
    return Outcome(str(folder), added, len(study.trials) - added, then)


def _trials_of(folder: Path) -> set[str]:
    """Ids of the trials that the folder has, if it has been written before."""
    try:
        table = pq.read_table(folder / "trials.parquet", columns=["trial_id"])
    except (OSError, pa.ArrowInvalid):
        return set()
    return set(table["trial_id"].to_pylist())


def _write_trial(study: Exported, trial: CommittedTrial, folder: Path) -> bool:
    """Write a trial's own files; whether one of them is new."""
    new = False
    maps = [_read(study, trial, name) for name in sorted(trial.files) if _is_maps(name)]
    if maps:
        table = pa.concat_tables([_listed_maps(part) for part in maps])
        new |= write_changed(folder / MAPS / f"{trial.trial_id}.parquet", _compressed(table))
    if "test_predictions.parquet" in trial.files:
        table = _listed_answers(_read(study, trial, "test_predictions.parquet"), trial)
        new |= write_changed(folder / ANSWERS / f"{trial.trial_id}.parquet", _compressed(table))
    return new


def _tables(study: Exported) -> Iterator[tuple[str, pa.Table]]:
    """Tables of the whole study by their names."""
    rows = [
        {
            "trial_id": run.trial_id,
            "group": run.group,
            "seed": trial.config.member,
            "epoch": run.tags.get("epoch"),
            "config": canonical_json(run.params),
            **trial.metrics,
        }
        for trial, run in zip(study.trials, study.runs(), strict=True)
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    yield "trials", pa.table({name: _column([row.get(name) for row in rows]) for name in names})
    histories = [
        {"trial_id": trial.trial_id, **row}
        for trial in study.trials
        for row in study.history(trial)
    ]
    if histories:
        schema = pa.schema([("trial_id", pa.string()), *HISTORY])
        yield "history", pa.Table.from_pylist(histories, schema=schema)
    yield "planes", study.study.read_table("planes.parquet").replace_schema_metadata()
    anchors = study.study.read_table("anchors.parquet").drop_columns(["pixels"])
    yield "anchors", anchors.replace_schema_metadata()
    for name in SCORE_TABLES:
        table = study.study.read_table(f"scores/{name}.parquet")
        if table.num_rows:  # an empty file is an error to the hub's viewer
            yield name, table.replace_schema_metadata()


def _column(values: list[Any]) -> pa.Array:
    """Numbers, or text where it is not one kind of value."""
    try:
        return pa.array(values)
    except pa.ArrowInvalid:
        return pa.array([None if value is None else str(value) for value in values])


def _is_maps(name: str) -> bool:
    return name.startswith("predictions")


def _read(study: Exported, trial: CommittedTrial, name: str) -> pa.Table:
    return pq.read_table(io.BytesIO(study.study.read_file(trial, name)))


def _listed_maps(table: pa.Table) -> pa.Table:
    maps = label_maps_from_table(table)  # (P, R, R)
    return _with_lists(table, "labels", maps.reshape(len(maps), -1))


def _listed_answers(table: pa.Table, trial: CommittedTrial) -> pa.Table:
    listed = _with_lists(table, "probabilities", probabilities_from_table(table))
    return listed.add_column(0, "trial_id", pa.array([trial.trial_id] * len(table), pa.string()))


def _with_lists(table: pa.Table, column: str, values: Any) -> pa.Table:  # noqa: ANN401 - an array
    """The table with a column of lists, the rows of a two-dimensional array."""
    lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    place = table.schema.get_field_index(column)
    return table.set_column(place, column, lists).replace_schema_metadata()


def _compressed(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
