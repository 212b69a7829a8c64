"""How reproducible is each architecture? Train each from several seeds and compare.

python sweeps/arch_repro.py                              # laptop: digits, a few minutes
python sweeps/arch_repro.py --seeds 5                    # extend it: only new seeds train
python sweeps/arch_repro.py --arch resnet wideresnet@2 wideresnet@4
python sweeps/arch_repro.py --preset paper --dry-run     # what the paper's own study would take
"""

from dataclasses import dataclass
from typing import Literal

from dbray.command_line import run_command
from dbray.errors import UserError
from dbray.study import TrainingOptions, presets_with
from dbray.study.options import check_architectures

Varied = Literal["all", "weights", "order", "augmentation", "dropout", "sample", "noise"]
LAPTOP = ("fcnet", "vit", "mixer", "vgg", "resnet", "densenet", "wideresnet")
QUICK = (*LAPTOP[:-1], "wideresnet@10")
GRIDS = {
    "quick": {"arch": QUICK, "name": "arch_repro_quick"},
    "paper": {"arch": (*QUICK, "wideresnet@20", "wideresnet@30"), "name": "arch_repro_paper"},
}


@dataclass(frozen=True)
class ArchRepro(TrainingOptions):
    """Train every architecture from several seeds and compare the models' decision regions."""

    name: str = "arch_repro"
    """name of this study, a folder below the storage"""
    arch: tuple[str, ...] = LAPTOP
    """architectures (also mlp, resnet18k), each with its usual width or as NAME@WIDTH; your own
    as package.module:factory"""

    vary: tuple[Varied, ...] = ("all",)
    """which seeds differ between the trials of a group: all, or one source with the others equal;
    several make a group each"""
    label_noise: float = 0.0
    """share of the training labels that are wrong, each trial's drawn by its own seed"""

    def validate(self) -> None:
        """Check every option, the architectures' names among them."""
        super().validate()
        check_architectures("--arch", self.arch)
        if "noise" in self.vary and not self.label_noise:
            raise UserError("--vary noise: no label is wrong; say how many are by --label-noise")


def main(options: ArchRepro) -> int:
    """Run the study."""
    options.validate()
    from dbray.study.until_decided import add_seeds

    return add_seeds(options, run)


def run(options: ArchRepro) -> int:
    """Run the study with its number of seeds."""
    from dbray.study.designs import one_alone
    from dbray.study.grid import all_configs, grid_point, with_noise
    from dbray.study.study import run_study, study_dataset

    dataset = study_dataset(options)
    configs = all_configs(options, dataset, options.arch) if "all" in options.vary else []
    configs = [with_noise(config, options.label_noise) for config in configs]
    for architecture in options.arch:
        base = with_noise(grid_point(options, dataset, architecture, 0), options.label_noise)
        for source in options.vary:
            configs += one_alone(base, source, options.seeds) if source != "all" else []
    return run_study(
        options,
        title="How reproducible is each architecture?",
        dataset=dataset,
        configs=configs,
        group_by=["architecture"] if options.vary == ("all",) else ["architecture", "varied"],
    )


if __name__ == "__main__":
    run_command(ArchRepro, main, presets_with(GRIDS))
