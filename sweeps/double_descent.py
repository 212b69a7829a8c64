"""Double descent, made visible: errors, regions and reproducibility along the width.

python sweeps/double_descent.py                              # laptop: digits, minutes
python sweeps/double_descent.py --refine 4                   # extend it: widths at the threshold
python sweeps/double_descent.py --stop-epochs 30 100 300     # extend it: along the training, too
python sweeps/double_descent.py --arch resnet18k --dataset npz:images.npz
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dbray.command_line import run_command
from dbray.config import NoiseConfig, NoiseKind, TrialConfig
from dbray.errors import UserError
from dbray.study import TrainingOptions, presets_with
from dbray.study.options import check_architectures

if TYPE_CHECKING:
    from dbray.datasets import Dataset

# Dense where a small network just fits digits, or CIFAR-10 in the paper.
WIDTHS = {
    "mlp": (4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 128, 256),
    "resnet18k": (1, 2, 3, 4, 5, 6, 8, 10, 12, 16),
    "vit": (4, 8, 12, 16, 20, 24, 32, 48, 64),
    "mixer": (4, 8, 12, 16, 20, 24, 32, 48, 64),
}
PAPER_WIDTHS = (*range(1, 21), 30, 40, 50, 60, 64)
WIDTH_STEPS = {"vit": 8}  # its heads share the width
GRIDS: dict[str, dict[str, Any]] = {
    "quick": {
        "name": "double_descent_quick",
        "arch": "resnet18k",
        "widths": (1, 2, 4, 6, 8, 10, 12, 16, 24, 32, 64),
        "epochs": 200,
        "learning_rate": 1e-3,
    },
    "paper": {"name": "double_descent_paper", "arch": "resnet18k", "widths": PAPER_WIDTHS},
}


@dataclass(frozen=True)
class DoubleDescent(TrainingOptions):
    """Train one family of models at many widths, with and without label noise."""

    name: str = "double_descent"
    """name of this study, a folder below the storage"""
    arch: str = "mlp"
    """family of models: mlp (one hidden layer), resnet18k, vit or mixer; your own as
    package.module:factory"""
    widths: tuple[int, ...] | None = None
    """widths (default: dense around the family's threshold, and those that the study has; with
    --refine the latter alone)"""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """shares of the training labels that are wrong"""
    noise_kinds: tuple[NoiseKind, ...] = ("symmetric",)
    """symmetric: a wrong label is any other class; asymmetric: always the next one"""
    noise_seed: int = 0
    """decides which labels are wrong"""
    vary_noise: bool = False
    """let trial s have noise seed + s, where all trials else share one draw"""
    refine: int = 0
    """add so many widths around the threshold of each label noise to a finished study"""
    line_images: int = 40
    """images of each kind whose margins and class skips are measured; can grow later"""
    picture_planes: str = "train:0"
    """planes that are also shown as pictures, by id or as KIND:NUMBER, with commas between; with
    label noise the first through correctly labelled and through mislabelled images is, too"""
    trainings_per_task: int = 3
    """trainings that one process does in a row; more than one helps where they take seconds"""

    def validate(self) -> None:
        """Check every option, the family's name among them."""
        super().validate()
        if "@" in self.arch:
            raise UserError(f"--arch {self.arch}: give the family's name; --widths says its widths")
        check_architectures("--arch", [self.arch])
        if not self.widths and self.arch not in WIDTHS:
            raise UserError(f"--arch {self.arch}: say at which --widths")

    @property
    def noises(self) -> list[NoiseConfig | None]:
        """Every label noise of the grid, of the first draw."""
        noisy = [
            NoiseConfig(share, kind, self.noise_seed)
            for kind in self.noise_kinds
            for share in self.label_noise
            if share
        ]
        return [*([None] if 0 in self.label_noise else []), *noisy]


def main(options: DoubleDescent) -> int:
    """Run the study."""
    options.validate()
    from dbray.study.until_decided import add_seeds

    return add_seeds(options, run)


def run(options: DoubleDescent) -> int:
    """Run the study with its number of seeds."""
    from dbray.study.study import run_study, study_dataset

    dataset = study_dataset(options)
    noisy = [noise for noise in options.noises if noise]
    return run_study(
        options,
        title="Where does a network just fit its labels, and what happens there?",
        dataset=dataset,
        configs=list(grid(options, dataset, all_widths(options))),
        group_by=["architecture", "noise", "stop_epoch"],
        noise=max(noisy, key=lambda noise: noise.share, default=None),
    )


def all_widths(options: DoubleDescent) -> list[int]:
    """Widths that are asked for or known, and those that a refinement adds."""
    from dbray.store import study_at
    from dbray.study.refinement import known_widths, new_widths

    study = study_at(options.storage, options.name)
    widths = set(options.widths or ())
    if options.widths is None:
        # A refinement is of a study that is finished: its widths are those that it has.
        usual = () if options.refine else WIDTHS[options.arch]
        widths = {*usual, *known_widths(study, options.arch)}
    if options.refine:
        step = WIDTH_STEPS.get(options.arch, 1)
        widths |= {*new_widths(study, options.arch, options.refine, step=step)}
    return sorted(widths)


def grid(
    options: DoubleDescent, dataset: "Dataset", widths: Sequence[int]
) -> Iterator[TrialConfig]:
    """Every trial; the widest first, as they take longest."""
    from dbray.study.grid import grid_point
    from dbray.training import double_descent_recipe

    side = min(dataset.input_shape[1:])
    base = double_descent_recipe(options.arch, options.size, dataset.name, side)
    for width in sorted(widths, reverse=True):
        for noise in options.noises:
            for seed in range(options.seeds):
                point = grid_point(options, dataset, f"{options.arch}@{width}", seed, base)
                drawn = (
                    replace(noise, seed=noise.seed + seed * options.vary_noise) if noise else None
                )
                yield replace(point, noise=drawn)


if __name__ == "__main__":
    run_command(DoubleDescent, main, presets_with(GRIDS))
