"""How much do your own trained models agree? Score checkpoints; nothing is trained.

python sweeps/my_models.py --models models.toml --dataset npz:mine.npz

models.toml:
    [[model]]
    name = "first"
    group = "baseline"                  # models of a group are compared as seeds are
    factory = "my_package.nets:make"    # or resnet, timm:resnet18, torchvision:resnet18
    weights = "first.safetensors"       # or a state dict that torch.save wrote
    mean = [0.485, 0.456, 0.406]        # the model's own normalisation, if it has one: it is
    std = [0.229, 0.224, 0.225]         # given (pixel/255 - mean)/std

The models see the data set's images normalised by its training images' mean and deviation, unless
mean and std say otherwise. The README explains the other keys: key, output, probabilities.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from dbray.command_line import run_command
from dbray.errors import UserError
from dbray.study import StudyOptions


@dataclass(frozen=True)
class MyModels(StudyOptions):
    """Score models that are trained already, and compare their decision regions."""

    name: str = "my_models"
    """name of this study, a folder below the storage"""
    models: Path = Path("models.toml")
    """list of the models, a TOML file with a table [[model]] for each: name, factory, weights, and
    a group"""
    allow_unstable: bool = False
    """also score models whose answers change from call to call or with the rest of the batch"""

    def validate(self) -> None:
        """Check every option, and that the list is there."""
        super().validate()
        if self.models.is_dir():
            raise UserError(f"--models {self.models}: is a folder; name the list in it")
        if not self.models.is_file():
            raise UserError(f"--models {self.models}: there is no such file")


def main(options: MyModels) -> int:
    """Run the study."""
    options.validate()
    from dbray.study.checkpoints import (
        load_checkpoint,
        put_into,
        read_list,
        reads_as_published,
    )
    from dbray.study.study import run_study, study_dataset

    entries = read_list(options.models)
    dataset = study_dataset(options)
    how = {
        "allow_unstable": options.allow_unstable,
        "published": reads_as_published(options.storage, options.name),
    }
    checkpoints = [load_checkpoint(entry, dataset, **how) for entry in entries]
    for note in (note for checkpoint in checkpoints for note in checkpoint.notes):
        print(note, file=sys.stderr)  # noqa: T201
    return run_study(
        options,
        title="How much do these models agree?",
        dataset=dataset,
        configs=[checkpoint.config for checkpoint in checkpoints],
        group_by=["group"],
        prepare=lambda study: put_into(study, checkpoints),
    )


if __name__ == "__main__":
    run_command(MyModels, main)
