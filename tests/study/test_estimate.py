"""What a study would cost: counts by hand, totals that add up, a calibration that is plausible."""

import math
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from published import PAPER_PARAMETERS
from torch import nn

from dbray.config import TrainingConfig, TrialConfig
from dbray.datasets import Dataset
from dbray.planes import plane_ids_of
from dbray.study import estimate
from dbray.study.calibration import Speed
from dbray.study.estimate import GroupCost, describe, study_costs
from dbray.trial import PlanePlan

PLAN = PlanePlan(
    counts={"test": 7, "train": 3},
    resolution=20,
    pictures=tuple(plane_ids_of("test", 2)),
    picture_resolution=30,
)
POINTS, PICTURE_POINTS = 10 * 20**2, 2 * 30**2


def shaped(shape, train=100, test=40, classes=10):
    """Data set of these counts that takes no memory."""
    pixels = np.zeros((1, *shape), np.uint8)
    return Dataset(
        "blank",
        np.broadcast_to(pixels, (train, *shape)),
        np.zeros(train, np.int64),
        np.broadcast_to(pixels, (test, *shape)),
        np.zeros(test, np.int64),
        tuple(str(i) for i in range(classes)),
        (0.5,) * shape[0],
        (0.25,) * shape[0],
    )


def trial(architecture="fcnet", seed=0, size="small", width=0, **training):
    config = TrainingConfig(**{"epochs": 5, **training})
    return TrialConfig("blank", "f", architecture, width, size, config, seed, seed, published=True)


def cost_of(*configs, dataset=None, **options):
    options = {"calibrate": False, **options}
    (cost,) = study_costs(configs, dataset or shaped((1, 8, 8)), PLAN, **options)
    return cost


def real_tensors(*, input_shape, classes):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(math.prod(input_shape), classes)

        def forward(self, images):
            if images.sum().item() > 1e9:  # there is no such number on the meta device
                raise ValueError
            return self.linear(images.flatten(1))

    return Own()


def test_arithmetic_by_hand():
    cost = cost_of(*(trial(seed=seed) for seed in range(3)))
    layers = [64, 256, 128, 64, 16, 10]
    forward = 2 * sum(a * b for a, b in pairwise(layers))
    assert (cost.trials, cost.epochs, cost.forward_flops) == (3, 5, forward)
    assert cost.parameters == sum((a + 1) * b for a, b in pairwise(layers))
    assert cost.training_flops == 3 * forward * 100 * 5
    assert cost.evaluation_flops == forward * 40 * 5
    assert cost.labelling_flops == forward * (POINTS + PICTURE_POINTS)
    assert cost.flops == cost.training_flops + cost.evaluation_flops + cost.labelling_flops
    assert cost.seconds_here is None


def test_convolution_by_hand():
    cost = cost_of(trial(f"{__name__}:convolution"), dataset=shaped((3, 8, 8)))
    assert cost.forward_flops == 2 * (8 * 8) * 4 * (3 * 9) + 2 * 4 * 10


def convolution(*, input_shape, classes):
    layers = nn.Conv2d(input_shape[0], 4, 3, padding=1), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, classes))


def test_attention_is_counted():
    cost = cost_of(trial("vit", size="paper"), dataset=shaped((3, 32, 32)))
    tokens, width, depth = 65, 512, 6
    linear = 2 * tokens * (4 * width**2 + 2 * width**2)
    attention = 2 * 2 * tokens**2 * width
    stem, head = 2 * 64 * 48 * width, 2 * width * 10
    assert cost.forward_flops == depth * (linear + attention) + stem + head


def test_sam_takes_two_gradients():
    once, twice = cost_of(trial()), cost_of(trial(optimizer="sam"))
    assert twice.training_flops == 2 * once.training_flops
    assert twice.labelling_flops == once.labelling_flops


@pytest.mark.parametrize(("classes", "width"), [(10, 1), (300, 2)])
def test_storage_by_hand(classes, width):
    cost = cost_of(trial(), dataset=shaped((1, 8, 8), classes=classes))
    maps = width * (POINTS + 2 * PICTURE_POINTS)
    assert cost.storage_bytes == maps + 4 * cost.parameters + 4 * classes * 40


def test_storage_includes_the_statistics_of_batch_norm():
    cost = cost_of(trial("resnet"))
    outputs = POINTS + 2 * PICTURE_POINTS + 4 * 10 * 40
    assert cost.storage_bytes > outputs + 4 * cost.parameters


@pytest.mark.parametrize(("name", "width"), [*PAPER_PARAMETERS, ("wideresnet", 30)])
def test_models_of_the_paper_are_counted_without_being_built(name, width, monkeypatch):
    def refuse(*_arguments):
        raise AssertionError

    counted = estimate._count
    monkeypatch.setattr(
        estimate, "_count", lambda *about: counted(*about) if about[2] == "meta" else refuse()
    )
    cost = cost_of(trial(name, size="paper", width=width), dataset=shaped((3, 32, 32)))
    assert cost.parameters == PAPER_PARAMETERS.get((name, width), 328_009_434)
    assert cost.forward_flops > 2 * 1e6


@pytest.mark.parametrize("name", ["vit", "mixer", "densenet", "wideresnet"])
def test_a_model_on_the_cpu_costs_the_same(name):
    about = trial(name), shaped((3, 32, 32))
    assert estimate._count(*about, "cpu") == estimate._count(*about, "meta")


def test_own_module_that_needs_real_tensors():
    cost = cost_of(trial(f"{__name__}:real_tensors"))
    assert (cost.parameters, cost.forward_flops) == (650, 1280)


def test_groups():
    configs = [trial(seed=seed, epochs=n, width=w) for seed in (0, 1) for n, w in ((5, 0), (9, 32))]
    configs.append(trial(optimizer="adam"))
    costs = study_costs(configs, shaped((1, 8, 8)), PLAN, calibrate=False)
    assert [(cost.label, cost.trials, cost.epochs) for cost in costs] == [
        ("fcnet/sgd", 2, 5),
        ("fcnet@32/sgd", 2, 9),
        ("fcnet/adam", 1, 5),
    ]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "sam"])
def test_calibration(optimizer):
    threads = torch.get_num_threads()
    cost = cost_of(trial("resnet", optimizer=optimizer), calibrate=True)
    assert cost.timed
    assert math.isfinite(cost.seconds_here)
    assert 0 < cost.seconds_here < 100
    assert torch.get_num_threads() == threads


def test_time_scales_with_epochs(monkeypatch):
    monkeypatch.setattr(estimate, "measure_speed", lambda *_, **__: Speed(1e-9, 1e-9, 1e-9))
    nothing = replace(PLAN, counts={"test": 0, "train": 0}, pictures=())
    configs = [trial(epochs=5), trial(epochs=50)]
    few, many = study_costs(configs, shaped((1, 8, 8)), nothing, calibrate=True)
    assert many.seconds_here == pytest.approx(10 * few.seconds_here)
    arithmetic, steps = few.training_flops + few.evaluation_flops, 5  # one batch an epoch
    assert few.seconds_here == pytest.approx(1e-9 * (arithmetic + steps * few.parameters))


def test_large_models_borrow_the_speed_of_the_most_similar(monkeypatch):
    speeds = {"fcnet": 1e-9, "wideresnet": 1e-10}

    def measured(model, *_arguments, **_options):
        wide = any(isinstance(part, nn.Conv2d) for part in model.modules())
        return Speed(*[speeds["wideresnet" if wide else "fcnet"]] * 2, 0.0)

    monkeypatch.setattr(estimate, "measure_speed", measured)
    names = [("fcnet", 0), ("wideresnet", 2), ("wideresnet", 20)]
    configs = [trial(name, size="paper", width=width) for name, width in names]
    costs = study_costs(configs, shaped((3, 32, 32)), PLAN, calibrate=True)
    assert [cost.timed for cost in costs] == [True, True, False]
    for cost, speed in zip(costs, [1e-9, 1e-10, 1e-10], strict=True):
        assert cost.seconds_here == pytest.approx(speed * cost.flops)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_time_without_the_device():
    assert cost_of(trial(), calibrate=True, device="cuda").seconds_here is None


def made_up(label, trials, seconds, timed=True):
    flops = {"forward_flops": 1, "training_flops": 8 * 10**15, "evaluation_flops": 10**15}
    return GroupCost(
        label=label,
        trials=trials,
        epochs=5,
        parameters=1_234_567,
        labelling_flops=10**15,
        seconds_here=seconds,
        timed=timed,
        storage_bytes=2_000_000,
        **flops,
    )


def test_described_totals_add_up():
    text = describe([made_up("a", 3, 3600.0), made_up("b@2", 2, 7200.0, timed=False)], slots=2)
    assert re.search(r"^a +3 +5 +1.23 M +10 PFLOP +60 min +2 MB$", text, re.MULTILINE)
    assert re.search(r"^b@2 +2 +5 +1.23 M +10 PFLOP +~ 2 h +2 MB$", text, re.MULTILINE)
    assert "trials: 5, 2 at once with 1 CPU each" in text
    assert "compute: 50 PFLOP" in text
    assert "rough time on this machine: 3.5 h with 2 at once" in text
    assert f"at 20 TFLOP/s: {50e15 / 20e12 / 60:.0f} min" in text
    assert "storage: at most 10 MB" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_longest_trial_bounds_the_time():
    text = describe([made_up("a", 1, 7200.0), made_up("b", 1, 60.0)], slots=8)
    assert "2 h with 2 at once" in text


def test_trials_on_one_gpu_share_it():
    text = describe([made_up("a", 8, 3600.0)], slots=8, gpus_per_trial=0.25)
    assert "8 at once with 1 CPU and 0.25 GPU each" in text
    assert "4 h with 8 at once" in text


def test_nothing_is_said_of_time_that_was_not_measured():
    text = describe([made_up("a", 1, None)], slots=1)
    assert "this machine" not in text
    assert "~" not in text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.034, "0.034 s"), (119, "119 s"), (120, "2 min"), (86_400, "24 h"), (9e6, "104 days")],
)
def test_durations(seconds, said):
    assert estimate._duration(seconds) == said
