"""Labelling planes against the model's forward pass alone, on inputs that lie ready."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.timing import Result, take_turns
from dbray.architectures import build_model
from dbray.datasets import load_dataset
from dbray.labelling import BATCH_ON_CPU, label_planes
from dbray.planes import Frame, PlaneSource, frames_of, plane_frame, plane_ids_of

PLANES, RESOLUTION, EXTENT = 10, 50, 0.1
SEVEN = ("fcnet", "vit", "mixer", "vgg", "resnet", "densenet", "wideresnet")


def run() -> list[Result]:
    """Time the small models on digits, and ResNet18(4) on 32 x 32 x 3 noise."""
    torch.set_num_threads(1)
    dataset = load_dataset("digits")
    frames = list(frames_of(dataset, plane_ids_of("test", PLANES), PlaneSource()))
    noise = torch.randn(PLANES, 3, 3072, generator=torch.Generator().manual_seed(0))
    large = [plane_frame(anchors.numpy()) for anchors in noise]
    small = [_time(name, frames, (1, 8, 8)) for name in SEVEN]
    mean = sum(1 / result.ratio for result in small) / len(small)
    small[-1] = replace(small[-1], remark=f"{small[-1].remark}; mean of the seven {mean:.2f}")
    others = [_time("mlp", frames, (1, 8, 8), aim="")]
    others += [_time("resnet18k", large, (3, 32, 32))]
    return [*small, *others, _time("fcnet", large, (3, 32, 32), aim="<= 0.40 of it")]


def _time(
    name: str, frames: list[Frame], shape: tuple[int, int, int], aim: str = "<= 1.00 of it"
) -> Result:
    model = build_model(name, input_shape=shape, classes=10, seed=0).eval()
    points = RESOLUTION * RESOLUTION
    ready = list(torch.randn(points, *shape).chunk(-(-points // BATCH_ON_CPU)))

    def ours() -> None:
        maps = label_planes(
            model,
            frames,
            shape,
            classes=10,
            resolution=RESOLUTION,
            extent=EXTENT,
            device=torch.device("cpu"),
        )
        assert len(list(maps)) == len(frames)

    labelled, forward = take_turns(ours, lambda: _forward(model, ready))
    result = Result(
        f"labelling {PLANES} planes, {name} on {shape[1]}x{shape[2]}",
        labelled,
        forward,
        "forward pass alone",
        aim,
    )
    figures = f"{PLANES / min(labelled):.0f} planes/s, {1 / result.ratio:.2f} of it"
    return replace(result, remark=figures)


@torch.inference_mode()
def _forward(model: nn.Module, ready: list[Tensor]) -> None:
    for _ in range(PLANES):
        for inputs in ready:
            model(inputs)
