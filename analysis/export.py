"""Take a finished study elsewhere; run again, it adds only what is new.

python analysis/export.py runs/arch_repro --to tensorboard
python analysis/export.py runs/arch_repro --to mlflow --into http://localhost:5000
"""

from dataclasses import dataclass
from typing import Literal

import tyro

from dbray.command_line import run_command


@dataclass(frozen=True)
class Export:
    """Add a study's trials to another tool as runs; nothing is trained or scored."""

    study: tyro.conf.Positional[str]
    """the study's folder: a directory, or a URI such as s3://bucket/prefix/NAME"""
    to: Literal["mlflow", "wandb", "tensorboard", "huggingface"]
    """the tool; wandb: offline runs, to be sent by wandb sync; huggingface: a data set's folder"""
    into: str = ""
    """mlflow: its server (else MLFLOW_TRACKING_URI); others: a folder (else exports/TO/STUDY)"""


def main(options: Export) -> int:
    """Export, and say what is new and where it is."""
    from dbray.export import export_study
    from dbray.store import open_study_folder

    outcome = export_study(open_study_folder(options.study), options.to, options.into)
    print(f"{options.to}: {outcome.place}")  # noqa: T201
    print(f"{outcome.added} trials added, {outcome.kept} there already")  # noqa: T201
    if outcome.then:
        print(f"next: {outcome.then}")  # noqa: T201
    return 0


if __name__ == "__main__":
    run_command(Export, main)
