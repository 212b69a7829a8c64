"""Are students closer to their teachers than their twins trained on labels? A two-stage sweep.

python sweeps/distillation.py                             # laptop: digits, minutes
python sweeps/distillation.py --losses kl hard mse        # extend it: teachers are there already
python sweeps/distillation.py --teachers vit --students resnet mixer --temperature 2

A student of seed s learns from its teacher of seed s, but starts from the weights and sees the
data in the order of seed s + 1: sharing them would make the two alike by themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dbray.command_line import run_command
from dbray.config import DistillationConfig, DistillationLoss, TrialConfig
from dbray.study import TrainingOptions, presets_with
from dbray.study.options import check_architectures

if TYPE_CHECKING:
    from dbray.datasets import Dataset

GRIDS: dict[str, dict[str, Any]] = {
    "quick": {"name": "distillation_quick"},
    "paper": {"name": "distillation_paper"},
}


@dataclass(frozen=True)
class Distillation(TrainingOptions):
    """Distil teachers into students; compare each student, and its twin from labels, with it."""

    name: str = "distillation"
    """name of this study, a folder below the storage"""
    teachers: tuple[str, ...] = ("resnet", "vgg", "vit")
    """architectures to learn from, as NAME or NAME@WIDTH"""
    students: tuple[str, ...] = ("resnet", "vgg", "fcnet")
    """architectures that learn"""
    losses: tuple[DistillationLoss, ...] | None = None
    """what a student learns: kl (soft outputs), hard (the teacher's classes), mse (its logits)
    (default: kl; at the paper's size mse)"""
    temperature: float | None = None
    """softens both outputs under kl (default: 4; at the paper's size 30)"""

    def validate(self) -> None:
        """Check every option, the architectures' names among them."""
        super().validate()
        check_architectures("--teachers", self.teachers)
        check_architectures("--students", self.students)


def main(options: Distillation) -> int:
    """Run the study."""
    options.validate()
    from dbray.study.until_decided import add_seeds

    return add_seeds(options, run)


def run(options: Distillation) -> int:
    """Run the study with its number of seeds."""
    from dbray.study.study import run_study, study_dataset

    dataset = study_dataset(options)
    return run_study(
        options,
        title="Is a distilled student closer to its teacher?",
        dataset=dataset,
        configs=list(dict.fromkeys(grid(options, dataset))),
        group_by=["architecture", "distillation"],
    )


def grid(options: Distillation, dataset: "Dataset") -> Iterator[TrialConfig]:
    """Teachers and the students' twins from labels, then the students."""
    from dbray.study.grid import grid_point
    from dbray.training import DISTILLATION

    usual, heat = DISTILLATION[options.size]
    seeds = range(options.seeds)
    for name in options.teachers:
        yield from (grid_point(options, dataset, name, seed) for seed in seeds)
    twins = {
        (name, seed): grid_point(options, dataset, name, seed + 1)
        for name in options.students
        for seed in seeds
    }
    yield from twins.values()
    for loss in options.losses or (usual,):
        for name in options.teachers:
            for (_, seed), twin in twins.items():
                teacher = grid_point(options, dataset, name, seed)
                taught = DistillationConfig(teacher.trial_id, teacher.name, loss)
                if loss == "kl":
                    taught = replace(taught, temperature=options.temperature or heat)
                yield replace(twin, distillation=taught)


if __name__ == "__main__":
    run_command(Distillation, main, presets_with(GRIDS))
