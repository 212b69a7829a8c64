"""Labelling planes against the model's forward pass alone, on inputs that lie ready."""

import torch
from torch import Tensor, nn

from benchmarks.__main__ import Result, best_of
from dbray.architectures import build_model
from dbray.datasets import load_dataset
from dbray.labelling import BATCH_ON_CPU, label_planes
from dbray.planes import Frame, PlaneSource, frames_of, plane_frame, plane_ids_of

PLANES, RESOLUTION, EXTENT = 4, 50, 0.1


def run() -> list[Result]:
    """Time the small models on digits, and ResNet18(4) on 32 x 32 x 3 noise."""
    torch.set_num_threads(1)
    dataset = load_dataset("digits")
    frames = list(frames_of(dataset, plane_ids_of("test", PLANES), PlaneSource()))
    noise = torch.randn(PLANES, 3, 3072, generator=torch.Generator().manual_seed(0))
    large = [plane_frame(anchors.numpy()) for anchors in noise]
    names = ["mlp", "fcnet", "vgg", "resnet", "densenet", "wideresnet", "vit"]
    results = [_time(name, frames, (1, 8, 8)) for name in names]
    return [*results, _time("resnet18k", large, (3, 32, 32)), _time("fcnet", large, (3, 32, 32))]


def _time(name: str, frames: list[Frame], shape: tuple[int, int, int]) -> Result:
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

    labelled, forward = best_of(5, ours, lambda: _forward(model, ready))
    side = f"{shape[1]}x{shape[2]}"
    return Result(
        f"labelling {PLANES} planes, {name} on {side} ({PLANES / labelled:.0f} planes/s)",
        labelled,
        forward,
        f"forward pass alone (dbray takes {labelled / forward:.2f} of it)",
        "<= 1.10 of it" if name not in ("mlp", "fcnet") else "",
    )


@torch.inference_mode()
def _forward(model: nn.Module, ready: list[Tensor]) -> None:
    for _ in range(PLANES):
        for inputs in ready:
            model(inputs)
