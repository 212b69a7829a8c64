"""The trials of one training: where it stops, and what parts from it on the way."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch

from dbray.config import AnyConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.sources import Branch
from dbray.store import Study
from dbray.training import EpochRecord, OnEpoch, Teacher, Training
from dbray.trial.commit import commit_trial
from dbray.trial.files import history_bytes
from dbray.trial.models import build, flip_last_bit, load_model
from dbray.trial.plan import Execution, PlanePlan

notes = logging.getLogger("dbray")  # what a person should know and nothing fails for
SAVED_STATE = "training_state.safetensors"  # of a training that is not finished

T = TypeVar("T")
Done = tuple[TrialConfig, dict[str, Any]]


def same_training(config: AnyConfig) -> AnyConfig:
    """What is equal for trials that one training gives: they stop, or part from it, on its way."""
    if not isinstance(config, TrialConfig):
        return config
    return replace(config, stop_epoch=None, branch=None)


@dataclass(frozen=True)
class Trainer:
    """How the trials of one training are done."""

    study: Study
    dataset: Dataset
    plan: PlanePlan
    execution: Execution
    on_epoch: OnEpoch | None = None

    def trials(self, configs: Sequence[TrialConfig]) -> Iterator[Done]:
        """Train the trunk once, pause it where a trial ends or parts, then train the branches.

        The trunk's states at which branches part lie beside its result until all branches are
        done. A trunk that is committed already is trained again as far as the last state that is
        missing.
        """
        ends = sorted((c for c in configs if not c.branch), key=lambda c: c.last_epoch)
        branches = [(c.branch, c) for c in configs if c.branch]
        branches.sort(key=lambda pair: pair[0].epoch)
        trunk = replace(configs[0], stop_epoch=None, branch=None)
        kept = {b.epoch: _path(trunk, f"epoch-{b.epoch}.safetensors") for b, _ in branches}
        yield from self._trunk(trunk, ends, kept)
        for branch, config in branches:
            yield self._branch(trunk, config, branch, kept[branch.epoch])
        if self.execution.process_group.is_main:
            for path in kept.values():
                self.study.folder.delete(path)

    def _trunk(
        self, trunk: TrialConfig, ends: Sequence[TrialConfig], kept: Mapping[int, str]
    ) -> Iterator[Done]:
        """One training, paused where a trial ends and where its state is to be kept."""
        missing = self._missing(kept)
        stops = sorted({*missing, *(config.last_epoch for config in ends)})
        if not stops:
            return
        saved = _path(ends[-1] if ends else trunk, SAVED_STATE)
        training = self._begin_or_resume(trunk, [saved], at_most=stops[0])
        after_epoch = self._saving(training, saved, stops[-1])
        before = 0.0
        for stop in stops:
            training.run(stop, after_epoch)
            if stop in missing:
                self._on_main(partial(self._save, training, kept[stop]))
            for config in ends:
                if config.last_epoch == stop:
                    seconds, before = training.seconds - before, training.seconds
                    yield self._commit(config, training, seconds, last=stop == stops[-1])
        self._delete(saved)

    def _branch(
        self, trunk: TrialConfig, config: TrialConfig, branch: Branch, parting: str
    ) -> Done:
        """What becomes of the trunk's state if something changes there."""
        saved = _path(config, SAVED_STATE)
        training = self._begin_or_resume(config, [saved, parting], at_most=config.last_epoch)
        training.run(branch.epoch)  # again, where its state was of no use
        started = training.seconds
        if training.epoch == branch.epoch:
            if branch.order_seed is not None:
                training.reorder(branch.order_seed)
            if branch.one_bit:
                flip_last_bit(training.loop.model)
        training.run(config.last_epoch, self._saving(training, saved, config.last_epoch))
        seconds = training.seconds - started
        done = self._commit(config, training, seconds, last=True, trunk=trunk)
        self._delete(saved)
        return done

    def _commit(
        self,
        config: TrialConfig,
        training: Training,
        seconds: float,
        *,
        last: bool,
        trunk: TrialConfig | None = None,
    ) -> Done:
        """Commit a trial with the model as it is now; ``last``: nothing more is trained.

        A branch is measured against its trunk's end.
        """
        now = training.history[-1]
        metrics = {
            "train_loss": now.train_loss,
            "train_accuracy": now.train_accuracy,
            "fit_accuracy": training.fit_accuracy(),
            "test_accuracy": now.test_accuracy,
            "train_seconds": seconds,  # since the trial before it
        }
        files = {"history.parquet": history_bytes(training.history)}
        if last:
            training.release()
        model, device = training.loop.model, training.loop.device

        def commit() -> dict[str, Any]:
            measured = metrics
            if trunk:
                end = load_model(self.study, self.study.trial(trunk.trial_id), self.dataset)
                from dbray.trial.barrier import barriers  # slow to import

                measured = metrics | barriers(end.to(device), model, self.dataset)
            return commit_trial(
                self.study, config, model, measured, files, self.dataset, self.plan, device
            )

        return config, self._on_main(commit)

    def _saving(self, training: Training, saved: str, end: int) -> OnEpoch:
        """What happens after an epoch: now and then the state is saved, to resume from."""
        last = time.monotonic()

        def after_epoch(record: EpochRecord) -> None:
            nonlocal last
            due = time.monotonic() - last >= self.execution.checkpoint_seconds
            if due and record.epoch < end and self.execution.process_group.is_main:
                self._save(training, saved)
                last = time.monotonic()
            if self.on_epoch:
                self.on_epoch(record)

        return after_epoch

    def _save(self, training: Training, path: str) -> None:
        with self.study.folder.new_file(path) as sink:
            training.save(sink)

    def _begin(self, config: TrialConfig) -> Training:
        device = torch.device(self.execution.device)
        teacher = None
        if config.distillation:
            taught_by = self.study.trial(config.distillation.teacher)
            teacher = Teacher(
                load_model(self.study, taught_by, self.dataset).to(device), config.distillation
            )
        return Training(
            build(config, self.dataset).to(device),
            self.dataset,
            config.training,
            data_seed=config.data_seeds,
            sample_seed=config.sample_seed,
            device=device,
            noise=config.noise,
            teacher=teacher,
            deterministic=self.execution.deterministic,
            process_group=self.execution.process_group,
        )

    def _begin_or_resume(
        self, config: TrialConfig, paths: Sequence[str], *, at_most: int
    ) -> Training:
        """A training that continues from the first state that is of use, or a new one."""
        training = self._begin(config)
        for path in paths:
            if not self.study.folder.exists(path):
                continue
            try:
                with self.study.folder.opened(path) as source:
                    training.resume(source, at_most=at_most)
            except (ValueError, FileNotFoundError) as error:
                notes.warning("%s: %s; its training starts over", path, error)
                del training  # before another one is made
                training = self._begin(config)
            else:
                break
        return training

    def _missing(self, kept: Mapping[int, str]) -> list[int]:
        """Epochs whose state is not kept yet; rank 0 looks before it writes."""
        exists = self.study.folder.exists
        return self._on_main(lambda: [epoch for epoch, path in kept.items() if not exists(path)])

    def _on_main(self, call: Callable[[], T]) -> T:
        return self.execution.process_group.on_main(call)

    def _delete(self, path: str) -> None:
        if self.execution.process_group.is_main:
            self.study.folder.delete(path)


def _path(config: TrialConfig, name: str) -> str:
    return f"trials/{config.trial_id}/{name}"
