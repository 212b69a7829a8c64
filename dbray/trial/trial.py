"""One trial: train or load a model, label the planes, write, commit. No Ray: a plain call."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from torch import nn

from dbray.architectures import build_model, reading_of
from dbray.config import AnyConfig, CheckpointConfig, OwnTrainingConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.importing import source_file
from dbray.store import CommittedTrial, Study
from dbray.training import EpochRecord, OnEpoch, Teacher, Training, evaluate_on
from dbray.trial.commit import WEIGHTS, commit_trial
from dbray.trial.files import answer_files, history_bytes, missing_answers
from dbray.trial.own_training import build_own_again, train_and_commit
from dbray.trial.plan import Execution, PlanePlan, plane_ids

notes = logging.getLogger("dbray")  # what a person should know and nothing fails for
SAVED_STATE = "training_state.safetensors"  # of a training that is not finished


def same_training(config: AnyConfig) -> AnyConfig:
    """What is equal for trials that one training gives, as they differ in where it stops."""
    return replace(config, stop_epoch=None) if isinstance(config, TrialConfig) else config


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
        Equal but for ``stop_epoch``; or a single one of a model that was trained elsewhere, or of
        a user's own training.

    Yields
    ------
    Each config with its committed metrics, those that stop first before the others.

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
        yield from _train(study, to_train, dataset, plan, execution, on_epoch)


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


def build(config: TrialConfig | CheckpointConfig, dataset: Dataset) -> nn.Module:
    """The config's model with its initial weights; one trained elsewhere as it is to be read."""
    reading, seed = None, 0
    if isinstance(config, CheckpointConfig):
        reading = reading_of(config, (dataset.mean, dataset.std))
    else:
        seed = config.weights_seed
    model = build_model(
        config.architecture,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        width=config.width,
        size=config.size,
        published=config.published,
        seed=seed,
        reading=reading,
    )
    if isinstance(config, TrialConfig) and config.one_bit:
        _flip_last_bit(model)
    return model


def _flip_last_bit(model: nn.Module) -> None:
    """Change the first weight by the least that a float can change."""
    with torch.no_grad():
        bits = next(model.parameters()).view(torch.int32).reshape(-1)
        bits[0] ^= 1


def load_model(study: Study, trial: CommittedTrial, dataset: Dataset) -> nn.Module:
    """A committed trial's model on the CPU.

    Raises
    ------
    UserError
        If it is of a user's own training, and nothing but that builds it.
    """
    if isinstance(trial.config, OwnTrainingConfig):
        model = build_own_again(study, trial, dataset)
    else:
        model = build(trial.config, dataset)
    model.load_state_dict(load_safetensors(study.read_file(trial, WEIGHTS)))
    return model.eval()


def _train(
    study: Study,
    configs: Sequence[TrialConfig],
    dataset: Dataset,
    plan: PlanePlan,
    execution: Execution,
    on_epoch: OnEpoch | None,
) -> Iterator[tuple[TrialConfig, dict[str, Any]]]:
    """One training, paused where a trial ends."""
    device = torch.device(execution.device)
    ordered = sorted(configs, key=lambda config: config.last_epoch)
    saved = f"trials/{ordered[-1].trial_id}/{SAVED_STATE}"
    training = _begin_or_resume(study, ordered[0], dataset, execution, saved)
    last = time.monotonic()

    def after_epoch(record: EpochRecord) -> None:
        nonlocal last
        unfinished = record.epoch < ordered[-1].last_epoch
        due = unfinished and time.monotonic() - last >= execution.checkpoint_seconds
        if due and execution.process_group.is_main:
            with study.folder.new_file(saved) as sink:
                training.save(sink)
            last = time.monotonic()
        if on_epoch:
            on_epoch(record)

    before = 0.0
    for config in ordered:
        training.run(config.last_epoch, after_epoch)
        metrics = {
            "train_loss": training.history[-1].train_loss,
            "train_accuracy": training.history[-1].train_accuracy,
            "fit_accuracy": training.fit_accuracy(),
            "test_accuracy": training.history[-1].test_accuracy,
            "train_seconds": training.seconds - before,  # since the trial before it
        }
        before = training.seconds
        files = {"history.parquet": history_bytes(training.history)}
        model = training.loop.model
        if config is ordered[-1]:
            training.release()
        commit = partial(commit_trial, study, config, model, metrics, files, dataset, plan, device)
        yield config, execution.process_group.on_main(commit)
    if execution.process_group.is_main:
        study.folder.delete(saved)


def _begin(study: Study, config: TrialConfig, dataset: Dataset, execution: Execution) -> Training:
    device = torch.device(execution.device)
    teacher = None
    if config.distillation:
        taught_by = load_model(study, study.trial(config.distillation.teacher), dataset)
        teacher = Teacher(taught_by.to(device), config.distillation)
    return Training(
        build(config, dataset).to(device),
        dataset,
        config.training,
        data_seed=config.data_seeds,
        sample_seed=config.sample_seed,
        device=device,
        noise=config.noise,
        teacher=teacher,
        deterministic=execution.deterministic,
        process_group=execution.process_group,
    )


def _begin_or_resume(
    study: Study, config: TrialConfig, dataset: Dataset, execution: Execution, saved: str
) -> Training:
    """A training that continues from its saved state, or a new one where that is of no use."""
    training = _begin(study, config, dataset, execution)
    if not study.folder.exists(saved):
        return training
    try:
        with study.folder.opened(saved) as source:
            training.resume(source, at_most=config.last_epoch)
    except (ValueError, FileNotFoundError) as error:
        notes.warning("%s: %s; its training starts over", saved, error)
        del training  # before another one is made
        return _begin(study, config, dataset, execution)
    return training


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
