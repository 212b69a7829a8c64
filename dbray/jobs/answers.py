"""Answers of trials on the test images, as score jobs read them."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dbray.store import CommittedTrial, Study
from dbray.store.schemas import probabilities_from_table
from dbray.store.scope import Scope

FILE = "test_predictions.parquet"

Group = tuple[str, list[CommittedTrial]]


@dataclass(frozen=True)
class Named:
    """Classes that M models name on n test images."""

    predicted: NDArray[np.uint16]  # (M, n)
    labels: NDArray[np.int32]  # (n,)
    image_ids: NDArray[np.int32]  # (n,)


def answered_groups(scope: Scope) -> list[Group]:
    """Groups with two trials or more that have answers on the test images, and these trials."""
    answered = {
        group: [trial for trial in trials if FILE in trial.files]
        for group, trials in scope.groups().items()
    }
    return [(group, trials) for group, trials in answered.items() if len(trials) > 1]


def read_named(study: Study, trials: Sequence[CommittedTrial]) -> Named:
    """The classes that trials name; probabilities are not read."""
    predicted: list[Any] = []
    for trial in trials:
        with study.open_table(_path(trial)) as file:
            table = file.read(columns=["image_id", "label", "predicted"])
        predicted.append(table["predicted"].to_numpy().astype(np.uint16))
    return Named(np.stack(predicted), table["label"].to_numpy(), table["image_id"].to_numpy())


def read_probabilities(
    study: Study, trials: Sequence[CommittedTrial], classes: int, working_bytes: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Probabilities, float32, shape (M, b, C), and labels, shape (b,), some images at a time.

    Parameters
    ----------
    working_bytes
        That the probabilities of b images may take.
    """
    rows = max(1, working_bytes // (len(trials) * classes * 4))
    columns = ["label", "probabilities"]
    with contextlib.ExitStack() as opened:
        files = [opened.enter_context(study.open_table(_path(trial))) for trial in trials]
        pieces = (file.iter_batches(rows, columns=columns, use_threads=False) for file in files)
        for of_images in zip(*pieces, strict=True):
            tables = [pa.Table.from_batches([batch]) for batch in of_images]
            yield (
                np.stack([probabilities_from_table(table) for table in tables]),
                tables[0]["label"].to_numpy(),
            )


def _path(trial: CommittedTrial) -> str:
    return f"trials/{trial.trial_id}/{FILE}"
