"""Studies of many trials: seconds, CPU seconds and peak memory of each step.

``python -m benchmarks scale [TRIALS ...]``; without numbers, of 200 and of 1000 trials.

Label maps are made, not trained, and committed by the store's own code; groups of five seeds, 10
planes of 50 x 50 points. Each step is a process of its own, and its peak memory is that of all its
processes, with Python, torch and Ray. Seconds leave out the imports and Ray's start, but in the
last two steps, which are the whole command: first with all scores and the page to make, then with
nothing left to do. CPU seconds are those of all the step's processes, user and system: other work
on the machine does not add to them.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.label_maps import make_label_maps
from benchmarks.processes import cpu_seconds, family, run_watched
from dbray.datasets import load_dataset
from dbray.jobs.agreement import AgreementJob
from dbray.jobs.contrasts import Contrasts
from dbray.jobs.distillation import DistillationJob
from dbray.jobs.fragmentation import FragmentationJob
from dbray.jobs.margins import LinesJob
from dbray.jobs.ray_data import Job, Task, tables_in_order
from dbray.jobs.similarity import SimilarityJob
from dbray.store import Study, open_study, scope_of
from dbray.store.schemas import label_maps_table, parquet_bytes, predictions_table
from dbray.study import TrainingOptions
from dbray.study.grid import all_configs
from dbray.sweep import find_cluster, ray_session

SCRIPT = Path(__file__).parents[1] / "sweeps" / "arch_repro.py"
USUAL = (200, 1000)  # trials; 5000 take a quarter of an hour
SEEDS, PLANES, PICTURES, RESOLUTION = 5, 10, 3, 50
NAME = "scale"
MODELS = 20  # whose label maps there are; other trials have the same, shifted

Step = Callable[[Study, int], None]


def main(arguments: list[str]) -> None:
    """Print a table: trials, step, seconds, CPU seconds, peak memory."""
    print("| trials | step | seconds | CPU seconds | peak memory, MB | result, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for trials in [int(text) for text in arguments] or USUAL:
        with tempfile.TemporaryDirectory() as storage:
            run_watched(_sweep(storage, 1))  # the first trial is a real one
            for step in STEPS:
                command = [sys.executable, "-m", "benchmarks.scale", step, storage, str(trials)]
                printed, _, peak = run_watched(command)
                seconds, cpu, size = map(float, printed.split())
                _print_row(trials, step, (seconds, cpu), peak, size)
            for step in ("the command: all scores, page", "the command again"):
                before = _cpu()
                _, seconds, peak = run_watched(_sweep(storage, trials))
                _print_row(trials, step, (seconds, _cpu() - before), peak, 0)


def _print_row(
    trials: int, step: str, seconds: tuple[float, float], peak: int, size: float
) -> None:
    wall, cpu = seconds
    made = f"{size / 1e6:.2f}" if size else ""
    print(f"| {trials} | {step} | {wall:.2f} | {cpu:.2f} | {peak / 1e6:.0f} | {made} |", flush=True)


def _sweep(storage: str, trials: int) -> list[str]:
    options = _options(storage, trials)
    command = [sys.executable, str(SCRIPT), "--arch", *_architectures(trials)]
    for name in ("storage", "name", "seeds", "epochs", "planes"):
        command += [f"--{name}", str(getattr(options, name))]
    return [*command, "--plane-kinds", *options.plane_kinds]


def _options(storage: str, trials: int) -> TrainingOptions:
    return TrainingOptions(
        storage=storage,
        name=NAME,
        seeds=min(trials, SEEDS),
        epochs=1,
        planes=PLANES,
        plane_kinds=("test",),
    )


def _architectures(trials: int) -> list[str]:
    return [f"mlp@{width}" for width in range(1, -(-trials // SEEDS) + 1)]


def commit_trials(study: Study, trials: int) -> None:
    """Commit so many trials, like the one that is there."""
    (real,) = study.committed()
    history, weights = (
        study.read_file(real, name) for name in ("history.parquet", "model.safetensors")
    )
    maps = make_label_maps(MODELS, PLANES, RESOLUTION)
    pictures = make_label_maps(MODELS, PICTURES, 2 * RESOLUTION)
    dataset = load_dataset("digits")
    labels = dataset.test_labels
    rng = np.random.default_rng(0)
    configs = all_configs(_options("", trials), dataset, _architectures(trials))
    for number, config in enumerate(configs):
        model, shift = number % MODELS, number // MODELS
        right = np.eye(dataset.classes)[labels] * 2
        answers = rng.dirichlet(np.ones(dataset.classes), len(labels)) + right
        answers = (answers / answers.sum(axis=1, keepdims=True)).astype(np.float32)
        found = np.roll(maps[model], shift, axis=-1), np.roll(pictures[model], shift, axis=-1)
        scored, seen = (
            label_maps_table(config.trial_id, range(len(m)), m, classes=10, extent=0.1)
            for m in found
        )
        tables: dict[str, pa.Table] = {
            "predictions.parquet": scored,
            "pictures.parquet": seen,
            "test_predictions.parquet": predictions_table(np.arange(len(labels)), labels, answers),
        }
        files = {name: parquet_bytes(table) for name, table in tables.items()}
        study.commit(
            config,
            {**files, "history.parquet": history, "model.safetensors": weights},
            metrics=real.metrics | {"test_accuracy": float(rng.uniform(0.9, 0.99))},
            planes=real.planes,
            pictures=real.pictures,
            picture_resolution=real.picture_resolution,
        )


def _list(study: Study, trials: int) -> None:
    assert len(study.committed()) == trials


def _index(study: Study, _: int) -> None:
    study.refresh_index()


def _check(study: Study, _: int) -> None:
    assert not study.wrong_files(study.committed())


def _score(*makers: Callable[[Study], Job]) -> Step:
    """A step that runs score jobs, within a session that is there."""

    def run(study: Study, _: int) -> None:
        jobs = [make(study) for make in makers]
        tables = tables_in_order([Task(job, item) for job in jobs for item in job.items])
        for job in jobs:
            job.write(
                (table for table, _ in zip(tables, job.items, strict=False)), Contrasts([], {})
            )

    return run


def _report(study: Study, _: int) -> None:
    from dbray.report import write_report

    write_report(study)


def _job(kind: Callable[..., Job], *, within_groups: bool = False) -> Callable[[Study], Job]:
    def make(study: Study) -> Job:
        scope = scope_of(study, study.committed())
        return kind(study, replace(scope, within_groups=within_groups))

    return make


STEPS: dict[str, tuple[Step, str]] = {
    "commit": (commit_trials, ""),
    "list": (_list, ""),
    "index": (_index, "trials/index.parquet"),
    "list with the index": (_list, ""),
    "check the files": (_check, ""),
    "fragmentation": (_score(_job(FragmentationJob)), "scores/fragmentation.parquet"),
    "agreement within groups": (
        _score(_job(AgreementJob, within_groups=True)),
        "scores/agreement.parquet",
    ),
    "agreement": (_score(_job(AgreementJob)), "scores/agreement.parquet"),
    "similarity within groups": (
        _score(_job(SimilarityJob, within_groups=True)),
        "scores/similarity.parquet",
    ),
    "similarity": (_score(_job(SimilarityJob)), "scores/similarity.parquet"),
    "lines, distillation": (_score(_job(LinesJob), _job(DistillationJob)), ""),
    "report": (_report, "report/index.html"),
}
NOT_ON_RAY = ("commit", "list", "index", "list with the index", "check the files", "report")


def _run_step() -> None:
    """One step in this process: its seconds, CPU seconds, and the bytes of what it made."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("storage")
    parser.add_argument("trials", type=int)
    asked = parser.parse_args()
    study = open_study(asked.storage, NAME)
    run, made = STEPS[asked.step]
    with contextlib.nullcontext() if asked.step in NOT_ON_RAY else ray_session(find_cluster()):
        seconds, cpu = _timed(run, study, asked.trials)
    print(seconds, cpu, len(study.folder.read(made)) if made else 0)


def _cpu() -> float:
    """CPU seconds of this process and all that it has started."""
    return cpu_seconds(family(os.getpid()))


def _timed(run: Step, study: Study, trials: int) -> tuple[float, float]:
    """Seconds by the clock, and of CPU."""
    started, cpu = time.perf_counter(), _cpu()
    run(study, trials)
    return time.perf_counter() - started, _cpu() - cpu


if __name__ == "__main__":
    _run_step()
