"""Runs as offline runs of Weights & Biases, to be sent by ``wandb sync``."""

import hashlib
import os
from pathlib import Path
from typing import Any

from dbray.export.folders import beside, holds, local_folder, settle
from dbray.export.runs import Exported, Outcome, Run, needed

STUDY_RUN = "study"  # the id of the run that holds the page


def to_wandb(study: Exported, into: str) -> Outcome:
    """Write offline runs that are not there yet below ``FOLDER/wandb``; nothing is sent.

    The project has the study's name, and a run of its own holds the study's page as an artifact. A
    run whose scores have changed is written again under its id.

    Raises
    ------
    UserError
        If wandb is not installed, or the folder cannot be made.
    """
    wandb = needed("wandb", "wandb")
    folder = local_folder(into, "wandb", study.name)
    os.environ["WANDB_DATA_DIR"] = str(folder / "data")  # where artifacts wait for the upload
    added = kept = 0
    for run in study.runs():
        if _holds(folder, run.trial_id, run.digest):
            kept += 1
            continue
        with beside(folder) as place:
            with _begun(wandb, study, run.trial_id, place, run) as begun:
                for row in run.history:
                    begun.log(row, step=int(row["epoch"]))
                begun.summary.update(run.metrics)
            _settle(place, folder, run.trial_id, run.digest)
        added += 1
    _page(wandb, study, folder)
    return Outcome(str(folder), added, kept, f"wandb sync {folder}/wandb/offline-run-*")


def _page(wandb: Any, study: Exported, folder: Path) -> None:  # noqa: ANN401 - a module
    digest = hashlib.sha256(study.page).hexdigest()
    if _holds(folder, STUDY_RUN, digest):
        return
    with beside(folder) as place:
        page = place / "index.html"
        page.write_bytes(study.page)
        with _begun(wandb, study, STUDY_RUN, place) as begun:
            artifact = wandb.Artifact("page", type="report")
            artifact.add_file(str(page))
            begun.log_artifact(artifact)
        _settle(place, folder, STUDY_RUN, digest)


def _begun(wandb: Any, study: Exported, name: str, place: Path, run: Run | None = None) -> Any:  # noqa: ANN401
    """A new offline run below a folder; it holds nothing of this machine."""
    quiet = wandb.Settings(
        silent=True, console="off", disable_git=True, x_disable_meta=True, x_disable_stats=True
    )
    return wandb.init(
        project=study.name,
        id=name,
        name=run.name if run else study.name,
        group=run.group if run else None,
        job_type="trial" if run else "study",
        config={**run.params, **run.tags} if run else None,
        dir=str(place),
        mode="offline",
        settings=quiet,
    )


def _holds(folder: Path, name: str, digest: str) -> bool:
    return any(holds(path, digest) for path in _of(folder, name))


def _of(folder: Path, name: str) -> list[Path]:
    """Where a run lies: W&B puts the time into the folder's name."""
    return list((folder / "wandb").glob(f"offline-run-*-{name}"))


def _settle(place: Path, folder: Path, name: str, digest: str) -> None:
    (made,) = _of(place, name)
    target = next(iter(_of(folder, name)), folder / "wandb" / made.name)
    settle(made, target, digest)
