"""What the numbers among the options may be."""

import math

from dbray.errors import UserError
from dbray.planes import IDS_PER_KIND

# The least and the most that a number may be, by its option's name; no number may be infinite. The
# upper bounds are those of ids and of what is stored, or far above what anybody has machines for.
BOUNDS: dict[str, tuple[int, int]] = {
    "seeds": (1, 10_000),
    "until_decided": (0, 10_000),
    "epochs": (1, 1_000_000),
    "stop_epochs": (1, 1_000_000),
    "branch_epochs": (0, 1_000_000),
    "batch_size": (2, 1_000_000),
    "learning_rate": (0, 1000),
    "sam_radius": (0, 1000),
    "mixup": (0, 1000),
    "cutmix": (0, 1000),
    "temperature": (0, 1_000_000),
    "widths": (1, 65_536),
    "refine": (0, 1000),
    "label_noise": (0, 1),
    "noise_seed": (0, 2**62),  # a trial's own seed is added to it
    "planes": (1, IDS_PER_KIND),
    "plane_seed": (0, 2**63 - 1),
    "resolution": (2, 4096),
    "picture_resolution": (2, 1000),
    "line_images": (0, 1_000_000),
    "cpus_per_trial": (1, 2**20),
    "gpus_per_trial": (0, 1024),
    "max_concurrent": (0, 2**20),
    "max_failures": (0, 1_000_000),
    "workers_per_trial": (1, 4096),
    "trainings_per_task": (1, 1_000_000),
    "checkpoint_seconds": (0, 1_000_000_000),
}
ABOVE = ("learning_rate", "sam_radius", "temperature")  # their least, 0, is itself too little
BELOW = ("label_noise",)  # its most, 1, is itself too much
LEAST_SHARE = 0.0001  # of a GPU


def check_number(name: str, value: float) -> None:
    """Check the value of one option, such as ``learning_rate``.

    Raises
    ------
    UserError
        If it is not finite, or not within the option's bounds.
    """
    said = f"--{option_name(name)} {value}"
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{said}: must be a finite number")
    least, most = BOUNDS.get(name, (-math.inf, math.inf))
    if value < least or (name in ABOVE and value == least):
        raise UserError(f"{said}: must be {'above' if name in ABOVE else 'at least'} {least}")
    if value > most or (name in BELOW and value == most):
        raise UserError(f"{said}: must be {'below' if name in BELOW else 'at most'} {most}")


def option_name(name: str) -> str:
    """As it is typed: ``learning-rate`` for ``learning_rate``."""
    return name.replace("_", "-")
