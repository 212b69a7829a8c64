"""Runs as TensorBoard event files, below ``FOLDER/GROUP/TRIAL_ID``."""

from pathlib import Path
from typing import Any

from dbray.export.folders import beside, folder_name, holds, local_folder, settle, write_changed
from dbray.export.runs import Exported, Outcome, Run, needed


def to_tensorboard(study: Exported, into: str) -> Outcome:
    """Write event files that are not there yet, and the study's page beside them.

    Scalars of the history have the epoch as their step; final metrics and scores, the last epoch.
    Config and final metrics are in the HParams tab.

    Raises
    ------
    UserError
        If tensorboardX is not installed, or the folder cannot be made.
    """
    tensorboard = needed("tensorboardX", "tensorboardX")
    folder = local_folder(into, "tensorboard", study.name)
    added = kept = 0
    for run in study.runs():
        target = folder / folder_name(run.group) / run.trial_id
        if holds(target, run.digest):
            kept += 1
            continue
        with beside(folder) as place:
            made = place / run.trial_id
            _write(tensorboard, run, made)
            settle(made, target, run.digest)
        added += 1
    write_changed(folder / "index.html", study.page)
    return Outcome(str(folder), added, kept, f"tensorboard --logdir {folder}")


def _write(tensorboard: Any, run: Run, folder: Path) -> None:  # noqa: ANN401 - a module
    last = int(run.history[-1]["epoch"]) if run.history else 0
    with tensorboard.SummaryWriter(str(folder)) as writer:
        for row in run.history:
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(name, value, int(row["epoch"]))
        for name, value in run.metrics.items():
            writer.add_scalar(name, value, last)
        for name, text in run.tags.items():
            writer.add_text(name, text, last)
        hyperparameters = {"group": run.group, **run.params}
        for summary in tensorboard.summary.hparams(hyperparameters, run.metrics):
            writer.file_writer.add_summary(summary)
