"""Several processes that train one model: the same as one, in the end."""

import io
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import start_script
from torch import distributed, multiprocessing

from dbray.architectures import build_model
from dbray.config import TrainingConfig
from dbray.datasets import load_dataset
from dbray.errors import TrialFailedError
from dbray.store import open_study
from dbray.training import ONE_PROCESS, ProcessGroup, Training

PLAIN = TrainingConfig(
    epochs=2, batch_size=100, learning_rate=0.02, schedule="cosine", crop_padding=1
)
RECIPES = {
    "sgd": PLAIN,
    "uneven shares": replace(PLAIN, batch_size=127),
    "sam": replace(PLAIN, optimizer="sam"),
    "mixtures": replace(PLAIN, optimizer="adam", learning_rate=1e-3, mixup=0.5, cutmix=0.5),
}


def trained(config, ranks):
    """History and weights of a network without batch norm or dropout."""
    digits = load_dataset("digits")
    model = build_model("mlp", input_shape=digits.input_shape, classes=10, seed=0)
    training = Training(
        model, digits, config, data_seed=3, device=torch.device("cpu"), process_group=ranks
    )
    training.run(1)
    state = io.BytesIO()
    training.save(state)
    state.seek(0)
    training.resume(state)  # as if it had been taken up by another process
    training.run(config.epochs)
    losses = [(record.train_loss, record.train_accuracy) for record in training.history]
    return losses, {name: value.clone() for name, value in model.state_dict().items()}


def act(rank, folder):
    """One process of a group of two, which does all the acts one after the other."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    for name, do in ACTS.items():
        torch.save(do(ProcessGroup(rank, 2)), f"{folder}/{name}{rank}")
    distributed.destroy_process_group()


def train_all(ranks):
    return {name: trained(config, ranks) for name, config in RECIPES.items()}


def fail(ranks):
    def failing():
        assert ranks.is_main
        raise TrialFailedError("the outputs are not finite")

    assert ranks.on_main(lambda: ranks.rank) == 0
    try:
        ranks.on_main(failing)
    except TrialFailedError as error:
        return str(error)


def draw(ranks):
    torch.manual_seed(1)
    own = []
    for step in (0, 1, 1):
        with ranks.rank_randomness(torch.device("cpu"), step):
            own.append(torch.rand(3).tolist())
    return own, torch.rand(3).tolist()


def draw_plainly():
    torch.manual_seed(1)
    return torch.rand(3).tolist()


ACTS = {"train": train_all, "fail": fail, "draw": draw}


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    """What the two processes found in each act."""
    folder = tmp_path_factory.mktemp("by_two")
    multiprocessing.spawn(act, (str(folder),), nprocs=2)
    return {
        name: [torch.load(folder / f"{name}{rank}", weights_only=True) for rank in range(2)]
        for name in ACTS
    }


def test_two_processes_train_what_one_trains(by_two):
    found = by_two["train"]
    for name, config in RECIPES.items():
        (history, weights), (same_history, same_weights) = (each[name] for each in found)
        assert history == same_history
        for key, value in weights.items():
            assert torch.equal(value, same_weights[key]), f"{name}: {key}"
        alone, expected = trained(config, ONE_PROCESS)
        for (loss, accuracy), (loss_alone, accuracy_alone) in zip(history, alone, strict=True):
            assert loss == pytest.approx(loss_alone, rel=1e-4)
            assert accuracy == pytest.approx(accuracy_alone, abs=2e-3)
        for key, value in weights.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=1e-4)


def test_a_failure_of_the_leader_is_everyones(by_two):
    assert by_two["fail"] == ["the outputs are not finite"] * 2


def test_dropout_differs_between_processes_and_their_generators_stay_together(by_two):
    (own, after), (other, same) = by_two["draw"]
    assert own[0] != other[0]
    assert own[0] != own[1] == own[2]
    assert after == same == draw_plainly()


SMALL = (
    *("--arch", "mlp", "--seeds", "2", "--epochs", "16", "--planes", "4", "--resolution", "12"),
    *("--picture-planes", "", "--checkpoint-seconds", "0"),
)
SCRIPT = "sweeps/arch_repro.py"


def workers():
    """Processes that train in a ranks."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"RayTrainWorker" in path.read_bytes():
                yield int(path.parent.name)
        except OSError:
            continue


def test_a_study_by_several_workers_outlives_the_death_of_a_worker(tmp_path):
    """Two cores and two trials of two workers each: one group after the other."""
    asked = [*SMALL, "--storage", str(tmp_path), "--workers-per-trial", "2"]
    with start_script(SCRIPT, *asked, stderr=subprocess.PIPE) as driver:
        saved = tmp_path / "arch_repro" / "trials"
        until = time.monotonic() + 300
        while not list(saved.glob("*/training_state.safetensors")):
            assert driver.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        os.kill(next(workers()), signal.SIGKILL)
        _, said = driver.communicate(timeout=500)
    assert driver.returncode == 0, said
    committed = open_study(str(tmp_path), "arch_repro").committed()
    assert len(committed) == 2
    for trial in committed:
        assert trial.config.training.workers_per_trial == 2
        assert trial.metrics["test_accuracy"] > 0.9
    assert not list(saved.glob("*/training_state.safetensors"))
    assert list(workers()) == []


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--workers-per-trial", "99"), "99 workers x 1 = 99 CPUs"),
        (("--workers-per-trial", "2", "--gpus-per-trial", "0.5"), "one GPU of its own"),
        (("--workers-per-trial", "2", "--batch-size", "2"), "1 a worker, where 2 are needed"),
    ],
)
def test_what_no_workers_can_do_is_refused_at_once(tmp_path, more, line):
    from in_process import run_without_ray  # the processes of a group need no Ray

    storage = ("--storage", str(tmp_path))
    ended = run_without_ray(SCRIPT, *SMALL, *storage, *more, cwd=tmp_path)
    assert ended.returncode == 2
    assert line in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())
