"""How much do your own trained models agree? Score checkpoints; nothing is trained.

python sweeps/my_models.py --models models.toml --dataset npz:mine.npz

models.toml:
    [[model]]
    name = "first"
    group = "baseline"                  # models of a group are compared as seeds are
    factory = "my_package.nets:make"    # or resnet, timm:resnet18, torchvision:resnet18
    weights = "first.safetensors"       # or a state dict that torch.save wrote

The models see the data set's images normalised by its training images' mean and deviation.
"""

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

    def validate(self) -> None:
        """Check every option, and that the list is there."""
        super().validate()
        if not self.models.is_file():
            raise UserError(f"--models {self.models}: there is no such file")


def main(options: MyModels) -> int:
    """Run the study."""
    options.validate()
    from dbray.study.checkpoints import load_checkpoint, put_into, read_list
    from dbray.study.study import run_study, study_dataset

    entries = read_list(options.models)
    dataset = study_dataset(options)
    checkpoints = [load_checkpoint(entry, dataset) for entry in entries]
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
