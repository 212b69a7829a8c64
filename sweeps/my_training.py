"""Is your own training reproducible? Train with your own code from several seeds, and compare.

python sweeps/my_training.py --train my_project.train:train --options "lr=0.1 lr=0.01" --seeds 3

my_project/train.py:
    def train(seeds, dataset, lr):
        seeds.seed_everything()
        ...
        return model                  # a torch.nn.Module that answers logits

A script that cannot be changed is called as a command:

python sweeps/my_training.py --factory my_project.nets:make \
    --command "python train.py --seed {seed} --out {checkpoint}"

The README says what else a function may take, and what happens when it fails.
"""

import math
import sys
from dataclasses import dataclass
from typing import Literal

from dbray.command_line import run_command
from dbray.errors import UserError
from dbray.store import Study
from dbray.study import StudyOptions

Varied = Literal["all", "weights", "order", "augmentation", "dropout", "sample"]


@dataclass(frozen=True)
class MyTraining(StudyOptions):
    """Train with a user's own code from several seeds, and compare the decision regions."""

    name: str = "my_training"
    """name of this study, a folder below the storage"""
    train: str = ""
    """function that trains a model, as package.module:function"""
    command: str = ""
    """command that trains a model, with {seed}, {checkpoint} and the names of --options in it"""
    options: tuple[str, ...] = ()
    """your own options: NAME=VALUE, several values of a name make a grid; or a TOML file"""
    factory: str = ""
    """what builds the model again, as package.module:function, timm:NAME or torchvision:NAME; more
    planes can then be added without training"""
    seeds: int = 3
    """trials of each combination of options"""
    vary: tuple[Varied, ...] = ("all",)
    """which seeds differ between the trials of a group: all, or one source with the others equal"""
    mean: str = ""
    """the model's own normalisation, a value a channel such as 0.485,0.456,0.406, or one for all:
    it is given (pixel/255 - mean)/std"""
    std: str = ""
    """likewise"""
    same_code: bool = False
    """go on although the code has changed since trials were trained by it"""
    allow_unstable: bool = False
    """take models whose answers change from call to call or with the rest of the batch"""

    def validate(self) -> None:
        """Check every option as far as that goes without loading anything."""
        super().validate()
        mean, std = self.normalisation
        if bool(mean) != bool(std) or any(value <= 0 for value in std):
            raise UserError("--mean, --std: give both, and std above 0")

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of the model's own; each empty where it takes ours."""
        return _numbers("mean", self.mean), _numbers("std", self.std)


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = (math.nan,)
    if not all(map(math.isfinite, found)):
        raise UserError(f"--{name} {text}: give finite numbers with commas between")
    return found


def main(options: MyTraining) -> int:
    """Run the study."""
    options.validate()
    from dbray.own import recipe_of
    from dbray.study import own_grid
    from dbray.study.study import run_study, study_dataset

    grid = own_grid.read_options(options.options)
    recipe = own_grid.with_code_of_study(
        options.storage,
        options.name,
        recipe_of(options.train, options.command, list(grid)),
        same_code=options.same_code,
    )
    seeds = own_grid.seeds_of(recipe, options.seeds, options.vary)
    dataset = study_dataset(options)
    own_grid.check_factory(recipe, options.factory, grid, dataset)

    def prepare(study: Study) -> None:
        again = own_grid.forget_without_factory(study)
        if again:
            print(  # noqa: T201
                f"{again} trials lack what is asked for now, and nothing but their training builds "
                "their model: they are trained again (--factory would save that)",
                file=sys.stderr,
            )

    return run_study(
        options,
        title="How reproducible is this training?",
        dataset=dataset,
        configs=own_grid.own_configs(recipe, grid, seeds, dataset, options.normalisation),
        group_by=["options", "varied"],
        own_training={"factory": options.factory, "allow_unstable": options.allow_unstable},
        prepare=prepare,
    )


if __name__ == "__main__":
    run_command(MyTraining, main)
