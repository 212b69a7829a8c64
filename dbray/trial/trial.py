"""One trial: train or load a model, label the planes, write, commit. No Ray: a plain call."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from torch import nn

from dbray.config import AnyConfig, CheckpointConfig, OwnTrainingConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.importing import source_file
from dbray.store import CommittedTrial, Study
from dbray.training import OnEpoch, evaluate_on
from dbray.trial.commit import WEIGHTS, commit_trial
from dbray.trial.files import answer_files, missing_answers
from dbray.trial.models import build, load_model
from dbray.trial.own_training import train_and_commit
from dbray.trial.plan import Execution, PlanePlan, plane_ids
from dbray.trial.trained import Trainer


def run_trials(
    study: Study,
    configs: Sequence[AnyConfig],
    dataset: Dataset,
    plan: PlanePlan,
    execution: Execution,
    on_epoch: OnEpoch | None = None,
) -> Iterator[tuple[AnyConfig, dict[str, Any]]]:
    """Do the trials of one training, each committed as soon as the training comes to its end.

    A training saves its state now and then; a later process resumes from it.

    Parameters
    ----------
    configs
        Equal but for ``stop_epoch`` and ``branch``; or a single one of a model that was trained
        elsewhere, or of a user's own training.

    Yields
    ------
    Each config with its committed metrics, those that stop first before the others, and those that
    part from the training last.

    Raises
    ------
    TrialFailedError
        If the loss or an output is not finite. What was yielded before is committed.
    UserError
        If the weights or the teacher that it needs are not in the study.
    """
    torch.set_num_threads(execution.threads)
    device = torch.device(execution.device)
    if device.type == "cuda":  # what a trial has freed goes back to the card, for its neighbours
        os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    to_train = [config for config in configs if isinstance(config, TrialConfig)]
    for config in configs:
        if isinstance(config, CheckpointConfig):
            model = build(config, dataset)
            _load_brought(study, config, model)
            model.to(device).eval()
            metrics: dict[str, Any] = {"test_accuracy": evaluate_on(model, dataset, device)}
            yield config, commit_trial(study, config, model, metrics, {}, dataset, plan, device)
        elif isinstance(config, OwnTrainingConfig):
            metrics = train_and_commit(study, config, dataset, plan, device, on_epoch)
            yield config, metrics
    if to_train:
        yield from Trainer(study, dataset, plan, execution, on_epoch).trials(to_train)


def extend_trial(
    study: Study, trial: CommittedTrial, dataset: Dataset, plan: PlanePlan, execution: Execution
) -> dict[str, Any]:
    """Label the planes that a committed trial has not labelled yet, with its stored weights.

    What it had is kept as it is; the new label maps go to files of their own. Pictures of another
    resolution, and fewer lines than there should be, are replaced.
    """
    torch.set_num_threads(execution.threads)
    device = torch.device(execution.device)
    model = load_model(study, trial, dataset).to(device).eval()
    known = set(plane_ids(trial.planes))
    ids = [i for i in plan.score_planes if i not in known]
    same = trial.picture_resolution == plan.picture_resolution
    kept = trial if same else trial.without("pictures")
    pictured = trial.pictures if same else ()
    pictures = tuple(i for i in plan.pictures if i not in pictured)
    more_lines = plan.line_images > trial.line_images
    wanted = replace(plan, line_images=plan.line_images if more_lines else 0)
    if more_lines:
        kept = kept.without("lines")
    new = answer_files(model, trial.trial_id, dataset, wanted, ids, pictures, device)
    part = _next_part(trial.files)
    counts = {
        kind: max(trial.planes.get(kind, 0), plan.counts.get(kind, 0))
        for kind in trial.planes.keys() | plan.counts.keys()
    }
    study.commit(
        trial.config,
        {name.replace(".parquet", f"-{part}.parquet"): data for name, data in new.items()}
        | missing_answers(trial, model, dataset, device),
        metrics=trial.metrics,
        planes=counts,
        pictures=(*pictured, *pictures),
        picture_resolution=plan.picture_resolution,
        line_images=max(trial.line_images, plan.line_images),
        planes_of=plan.planes_of,
        extending=kept,
    )
    return trial.metrics


def _next_part(names: Iterable[str]) -> int:
    """Number that no file with parts has yet: a committed file is never written again."""
    parts = re.compile(r"(?:predictions|pictures|lines)(?:-(\d+))?\.parquet")
    numbers = [parts.fullmatch(name) for name in names]
    return 1 + max((int(found[1] or 1) for found in numbers if found), default=0)


def _load_brought(study: Study, config: CheckpointConfig, model: nn.Module) -> None:
    """Load the weights that the command which asked for this trial has put into the study.

    A classifier that its factory makes ready has none; its factory must still be the same.
    """
    if config.fitted:
        code = source_file(config.architecture).read_bytes()
        if hashlib.sha256(code).hexdigest() != config.weights_sha256:
            raise UserError(f"model {config.model}: the file of {config.architecture} has changed")
        return
    data = study.folder.read(f"trials/{config.trial_id}/{WEIGHTS}")
    if hashlib.sha256(data).hexdigest() != config.weights_sha256:
        raise UserError(
            f"model {config.model}: its weights in the study are not those it came with"
        )
    model.load_state_dict(load_safetensors(data))
