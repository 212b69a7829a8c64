"""Does the optimizer decide how reproducible training is? Architectures by optimizers by seeds.

python sweeps/optimizer_repro.py                          # laptop: digits, minutes
python sweeps/optimizer_repro.py --seeds 5                # extend it: only new seeds train
python sweeps/optimizer_repro.py --optimizers sgd adam sam adamw     # the modern one, too
python sweeps/optimizer_repro.py --preset paper --dry-run
"""

from dataclasses import dataclass
from typing import Any

from dbray.command_line import run_command
from dbray.config import OptimizerName
from dbray.errors import UserError
from dbray.study import TrainingOptions, presets_with
from dbray.study.options import check_architectures

GRIDS: dict[str, dict[str, Any]] = {
    "quick": {"name": "optimizer_repro_quick"},
    "paper": {"name": "optimizer_repro_paper"},
}


@dataclass(frozen=True)
class OptimizerRepro(TrainingOptions):
    """Train architectures with several optimizers from several seeds; compare decision regions."""

    name: str = "optimizer_repro"
    """name of this study, a folder below the storage"""
    arch: tuple[str, ...] = ("resnet", "vgg", "mixer", "vit")
    """architectures, each with its usual width or as NAME@WIDTH; your own as
    package.module:factory"""
    optimizers: tuple[OptimizerName, ...] = ("sgd", "adam", "sam")
    """update rules to compare, each with its own recipe; adamw is another"""

    def validate(self) -> None:
        """Check every option, the architectures' names among them."""
        super().validate()
        if self.optimizer is not None:
            raise UserError("--optimizer: this study compares optimizers; choose by --optimizers")
        check_architectures("--arch", self.arch)


def main(options: OptimizerRepro) -> int:
    """Run the study."""
    options.validate()
    from dbray.study.until_decided import add_seeds

    return add_seeds(options, run)


def run(options: OptimizerRepro) -> int:
    """Run the study with its number of seeds."""
    from dbray.study.grid import grid_point
    from dbray.study.study import run_study, study_dataset
    from dbray.training import optimizer_recipe

    dataset = study_dataset(options)
    side = min(dataset.input_shape[1:])
    configs = [
        grid_point(
            options,
            dataset,
            architecture,
            seed,
            optimizer_recipe(architecture, optimizer, options.size, dataset.name, side),
        )
        for architecture in options.arch
        for optimizer in options.optimizers
        for seed in range(options.seeds)
    ]
    return run_study(
        options,
        title="Does the optimizer decide how reproducible training is?",
        dataset=dataset,
        configs=configs,
        group_by=["architecture", "training.optimizer"],
    )


if __name__ == "__main__":
    run_command(OptimizerRepro, main, presets_with(GRIDS))
