"""What a study would cost, without training anything: arithmetic, time and storage. No Ray."""

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from dbray.config import AnyConfig, TrainingConfig, TrialConfig, group_label
from dbray.datasets import Dataset
from dbray.labelling import DIRECTIONS, HALVINGS, STEPS, kinds_of_lines, label_dtype
from dbray.study.calibration import BACKWARD, Speed, cpu_threads, measure_speed
from dbray.training import LONGEST_HISTORY
from dbray.trial import PlanePlan, build, same_training

# A model whose step on two images takes more is not timed but borrows another one's speed.
AFFORDABLE_STEP_FLOPS = {"cpu": 100e9, "cuda": 2e13}
CALIBRATION_SECONDS = 30.0  # after that no further group is timed
COLUMNS = ("trials", "epochs", "parameters", "compute a trial", "time here", "storage a trial")
GPU_FLOPS = 20e12  # a second: about what float32 and TF32 training reach; assumed, not measured


@dataclass(frozen=True)
class GroupCost:
    """Cost of the trials that differ in their seeds only; all but ``trials`` is of one trial."""

    label: str
    trials: int
    epochs: int
    parameters: int
    forward_flops: int  # of one image; a multiplication and its addition are two
    training_flops: int
    evaluation_flops: int  # of the test images after every epoch
    labelling_flops: int  # of the points of all planes, pictures and lines
    seconds_here: float | None  # extrapolated from the calibration; None without one
    timed: bool  # this model itself was timed, not only one like it
    storage_bytes: int  # at most: nothing compresses

    @property
    def flops(self) -> int:
        """All arithmetic of one trial."""
        return self.training_flops + self.evaluation_flops + self.labelling_flops


@dataclass(frozen=True)
class _Group:
    """Trials of one cost, and the size of their model."""

    config: TrialConfig  # of one of them
    trials: int
    trained_epochs: int  # by each; 0 where a longer training passes by
    parameters: int
    stored_bytes: int  # of the weights and buffers
    forward_flops: int


def study_costs(
    configs: Sequence[TrialConfig],
    dataset: Dataset,
    plan: PlanePlan,
    *,
    calibrate: bool,
    device: str = "cpu",
    threads: int = 1,
    group_by: Sequence[str] = ("architecture", "training.optimizer"),
) -> list[GroupCost]:
    """Cost of every group of trials, in the order in which the groups come.

    Parameters
    ----------
    calibrate
        Time a few small steps on ``device``, so that there are seconds, too; takes about half a
        minute at most for models that are usual on that device.
    device
        Where the trials run; without such a device here nothing is timed.
    threads
        CPU threads of one trial.
    group_by
        Config fields for the groups' labels.
    """
    groups = _groups(configs, dataset)
    place = torch.device(device)
    has_place = place.type == "cpu" or torch.cuda.is_available()
    timed = _speeds(groups, dataset, place, threads) if calibrate and has_place else {}
    costs = []
    for position, group in enumerate(groups):
        cost = _group_cost(group, dataset, plan, group_label(group.config, group_by))
        if timed:
            speed = timed[_nearest(position, groups, list(timed))]
            seconds = _trial_seconds(cost, speed, group.config.training, len(dataset.train_labels))
            cost = replace(cost, seconds_here=seconds, timed=position in timed)
        costs.append(cost)
    return costs


def describe(
    costs: Sequence[GroupCost],
    *,
    slots: int,
    cpus_per_trial: int = 1,
    gpus_per_trial: float = 0.0,
) -> str:
    """Costs as a table for people, and their totals.

    Parameters
    ----------
    slots
        Trials that run at once.
    """
    table = Table("group", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for cost in costs:
        table.add_row(*_row(cost))
    console = Console(file=StringIO(), width=100, color_system=None, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join([*lines, "", *_totals(costs, slots, cpus_per_trial, gpus_per_trial)])


def _groups(configs: Sequence[TrialConfig], dataset: Dataset) -> list[_Group]:
    longest: dict[AnyConfig, int] = {}
    for c in configs:
        training = same_training(c)
        longest[training] = max(c.last_epoch, longest.get(training, 0))
    alike: dict[tuple[object, ...], list[TrialConfig]] = defaultdict(list)
    for c in configs:
        trained = c.last_epoch if c.last_epoch == longest[same_training(c)] else 0
        if c.branch:
            trained = c.last_epoch - c.branch.epoch
        alike[c.architecture, c.width, c.size, c.training.optimizer, c.last_epoch, trained].append(
            c
        )
    sizes: dict[tuple[object, ...], tuple[int, int, int]] = {}
    groups = []
    for key, members in alike.items():
        model = key[:3]  # what is trained longer or otherwise is not counted again
        if model not in sizes:
            sizes[model] = _model_size(members[0], dataset)
        groups.append(_Group(members[0], len(members), int(str(key[-1])), *sizes[model]))
    return groups


def _model_size(config: TrialConfig, dataset: Dataset) -> tuple[int, int, int]:
    """Parameters, bytes to store, and FLOPs of the forward pass of one image."""
    try:
        return _count(config, dataset, "meta")  # allocates nothing, computes nothing
    except Exception:  # a user's own module may need real tensors; if it is broken it says so here
        return _count(config, dataset, "cpu")


def _count(config: TrialConfig, dataset: Dataset, device: str) -> tuple[int, int, int]:
    with torch.device(device), torch.no_grad():
        model = build(config, dataset).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, *dataset.input_shape))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    stored = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    return parameters, stored, int(counter.get_total_flops())


def _group_cost(group: _Group, dataset: Dataset, plan: PlanePlan, label: str) -> GroupCost:
    training, forward = group.config.training, group.forward_flops
    epochs = group.trained_epochs
    passes = len(dataset.train_labels) * epochs
    evaluations = epochs // max(1, math.ceil(training.epochs / LONGEST_HISTORY))
    gradients = 2 if str(training.optimizer) == "sam" else 1  # it looks ahead, then steps
    points = sum(plan.counts.values()) * plan.resolution**2
    picture_points = len(plan.pictures) * plan.picture_resolution**2
    lines = plan.line_images * DIRECTIONS * len(kinds_of_lines(plan.source))
    outputs = 4 * dataset.classes * len(dataset.test_labels)  # float32
    # A point of a picture may hold as much again beside its label.
    label_bytes = label_dtype(dataset.classes).itemsize * (points + 2 * picture_points)
    return GroupCost(
        label=label,
        trials=group.trials,
        epochs=group.config.last_epoch,
        parameters=group.parameters,
        forward_flops=forward,
        training_flops=(1 + BACKWARD) * forward * passes * gradients,
        evaluation_flops=forward * len(dataset.test_labels) * evaluations,
        labelling_flops=forward * (points + picture_points + lines * (STEPS + 1 + HALVINGS)),
        seconds_here=None,
        timed=False,
        storage_bytes=label_bytes + group.stored_bytes + outputs,
    )


def _trial_seconds(cost: GroupCost, speed: Speed, training: TrainingConfig, images: int) -> float:
    epochs = cost.epochs if cost.training_flops else 0
    steps = math.ceil(images / training.batch_size) * epochs
    return (
        speed.gradient * cost.training_flops
        + speed.forward * (cost.evaluation_flops + cost.labelling_flops)
        + speed.update * cost.parameters * steps
    )


def _speeds(
    groups: Sequence[_Group], dataset: Dataset, device: torch.device, threads: int
) -> dict[int, Speed]:
    """Measured speeds of as many groups as can be afforded, by their position."""
    limit = AFFORDABLE_STEP_FLOPS[device.type] / (1 + BACKWARD) / 2
    # The dearest first: the others matter less to the sum if the time runs out.
    order = sorted(range(len(groups)), key=lambda i: groups[i].forward_flops, reverse=True)
    affordable = [i for i in order if groups[i].forward_flops <= limit] or order[-1:]
    speeds: dict[int, Speed] = {}
    started = time.perf_counter()
    with cpu_threads(threads):
        for position in affordable:
            config, flops = groups[position].config, groups[position].forward_flops
            model, shape = build(config, dataset), dataset.input_shape
            speeds[position] = measure_speed(
                model, config.training, shape, forward_flops=flops, device=device
            )
            if time.perf_counter() - started > CALIBRATION_SECONDS:
                break
    return speeds


def _nearest(position: int, groups: Sequence[_Group], timed: Sequence[int]) -> int:
    """The timed group that is most like one: itself, its architecture, a model of its size."""
    own = groups[position]

    def distance(other: int) -> tuple[bool, bool, float]:
        ratio = max(1, groups[other].forward_flops) / max(1, own.forward_flops)
        strange = groups[other].config.architecture != own.config.architecture
        return other != position, strange, abs(math.log(ratio))

    return min(timed, key=distance)


def _row(cost: GroupCost) -> tuple[str, ...]:
    seconds = "-" if cost.seconds_here is None else _duration(cost.seconds_here)
    return (
        cost.label,
        f"{cost.trials:,}",
        f"{cost.epochs:,}",
        _si(cost.parameters),
        _si(cost.flops, "FLOP"),
        seconds if cost.timed or cost.seconds_here is None else f"~ {seconds}",
        _si(cost.storage_bytes, "B"),
    )


def _totals(
    costs: Sequence[GroupCost], slots: int, cpus_per_trial: int, gpus_per_trial: float
) -> list[str]:
    flops = sum(cost.trials * cost.flops for cost in costs)
    trials = sum(cost.trials for cost in costs)
    at_once = min(slots, trials)
    each = f"{cpus_per_trial} CPU" + (f" and {gpus_per_trial:g} GPU" if gpus_per_trial else "")
    return [
        f"trials: {trials:,}, {at_once} at once with {each} each",
        f"compute: {_si(flops, 'FLOP')}",
        *_time_here(costs, at_once, gpus_per_trial),
        f"time on one GPU at {GPU_FLOPS / 1e12:g} TFLOP/s: {_duration(flops / GPU_FLOPS)} (about "
        "what float32/TF32 training",
        "  sustains on a data-centre GPU; assumed, not measured; small networks reach far less)",
        f"storage: at most {_si(sum(c.trials * c.storage_bytes for c in costs), 'B')}",
    ]


def _time_here(costs: Sequence[GroupCost], at_once: int, gpus_per_trial: float) -> list[str]:
    seconds = [(cost.trials, cost.seconds_here) for cost in costs if cost.seconds_here is not None]
    if not seconds:
        return []
    # Trials on one GPU are taken to share its speed: the calibration had it alone.
    side_by_side = max(1.0, at_once * min(1.0, gpus_per_trial or 1.0))
    total = sum(trials * each for trials, each in seconds) / side_by_side
    rough = _duration(max(total, *(each for _, each in seconds)))  # no trial is split
    lines = [f"rough time on this machine: {rough} with {at_once} at once"]
    if not all(cost.timed for cost in costs):
        lines.append("~: too large or too many to be timed; at the speed of the most similar model")
    return lines


def _si(value: float, unit: str = "") -> str:
    """Three digits with a decimal prefix."""
    prefixes = ["", "k", "M", "G", "T", "P", "E", "Z"]
    while value >= 999.5 and len(prefixes) > 1:
        value /= 1000
        prefixes.pop(0)
    return f"{value:.3g} {prefixes[0]}{unit}".rstrip()


def _duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count = seconds / length
        if count >= 2 or unit == "s":
            break
    return f"{count:,.0f} {unit}" if count >= 100 else f"{count:.2g} {unit}"
