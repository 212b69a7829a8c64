"""Which randomness makes two trainings differ? Vary each source alone, and share it alone.

python sweeps/randomness.py                              # laptop: digits, ResNet and ViT
python sweeps/randomness.py --seeds 4                    # one more seed of every source
python sweeps/randomness.py --label-noise 0.2 --name noisy    # which labels are wrong, too
python sweeps/randomness.py --arch vgg --sources weights order bit --name vgg
python sweeps/randomness.py --branch-epochs 0 1 2 4 8    # when is it decided?
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from dbray.command_line import run_command
from dbray.config import TrialConfig
from dbray.errors import UserError
from dbray.study import TrainingOptions, presets_with
from dbray.study.options import check_architectures

Varied = Literal["weights", "order", "augmentation", "dropout", "sample", "noise", "machine", "bit"]
ALL: tuple[Varied, ...] = get_args(Varied)
GRIDS = {
    "quick": {"arch": ("resnet", "vgg"), "name": "randomness_quick"},
    "paper": {"arch": ("resnet", "vgg"), "name": "randomness_paper"},
}


@dataclass(frozen=True)
class Randomness(TrainingOptions):
    """Vary each source of randomness alone, and share it alone, and compare the models."""

    name: str = "randomness"
    """name of this study, a folder below the storage"""
    arch: tuple[str, ...] = ("resnet", "vit")
    """architectures, as in arch_repro.py"""
    sources: tuple[Varied, ...] = ALL
    """what to vary: seeds, the same training again (machine), the last bit of one weight (bit)"""
    label_noise: float = 0.0
    """share of the training labels that are wrong, each trial's drawn by its own seed"""
    branch_epochs: tuple[int, ...] = ()
    """epochs after which trainings part, too (0: from the start): in the order of images or by one
    bit, whichever of the two is in --sources"""
    plane_kinds: tuple[Literal["test", "train"], ...] = ("test",)
    """kinds of planes; the shares are measured on those through test images"""

    def validate(self) -> None:
        """Check every option, the architectures' names among them."""
        super().validate()
        check_architectures("--arch", self.arch)
        if "test" not in self.plane_kinds:
            raise UserError("--plane-kinds: test must be one of them")
        if self.branch_epochs and not {"order", "bit"} & set(self.sources):
            raise UserError("--branch-epochs: trainings part in order or bit; add one to --sources")


def main(options: Randomness) -> int:
    """Run the study."""
    options.validate()
    from dbray.study.until_decided import add_seeds

    return add_seeds(options, run)


def run(options: Randomness) -> int:
    """Run the study with its number of seeds."""
    from dbray.architectures import parse_architecture
    from dbray.study.designs import design, without_effect
    from dbray.study.grid import grid_point, with_noise
    from dbray.study.study import run_study, study_dataset
    from dbray.training import randomness_recipe
    from dbray.trial import build

    dataset = study_dataset(options)
    side = min(dataset.input_shape[1:])
    configs = []
    for architecture in options.arch:
        name, _ = parse_architecture(architecture)
        recipe = randomness_recipe(name, options.size, dataset.name, side)
        point = grid_point(options, dataset, architecture, 0, recipe)
        base = with_noise(point, options.label_noise)
        missing = without_effect(base, build(base, dataset))
        for source in options.sources:
            if source in missing:
                print(f"{architecture}: no {source}, as {missing[source]}")  # noqa: T201
        there = [source for source in options.sources if source not in missing]
        if not there:
            raise UserError(
                f"--sources {' '.join(options.sources)}: {architecture} has nothing of it to vary"
            )
        trials = design(base, there, options.seeds)
        configs += trials + branched(options, trials)
    return run_study(
        options,
        title="Which randomness makes two trainings differ?",
        dataset=dataset,
        configs=configs,
        group_by=["architecture", "varied"],
    )


def branched(options: Randomness, trials: Sequence[TrialConfig]) -> list[TrialConfig]:
    """Trials that part from one architecture's bases on their way."""
    from dbray.study.designs import BRANCHING, branches

    bases, end = trials[: options.seeds], trials[0].training.epochs
    for epoch in options.branch_epochs:
        if epoch >= end:
            raise UserError(
                f"--branch-epochs {epoch}: {bases[0].name} is trained for {end} epochs; give fewer"
            )
    sources = [source for source in BRANCHING if source in options.sources]
    return [trial for s in sources for trial in branches(bases, s, options.branch_epochs)]


if __name__ == "__main__":
    run_command(Randomness, main, presets_with(GRIDS))
