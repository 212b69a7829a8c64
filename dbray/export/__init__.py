"""Studies for other tools: each finished trial becomes one run there. No torch, no Ray.

``runs.py`` reads a study; a file for each target writes it, and imports that tool's package only
when asked to.
"""

from collections.abc import Callable
from typing import Literal

from dbray.export.huggingface import to_huggingface
from dbray.export.mlflow import to_mlflow
from dbray.export.runs import Exported, Outcome, exported
from dbray.export.tensorboard import to_tensorboard
from dbray.export.wandb import to_wandb
from dbray.store import Study

__all__ = ["Outcome", "TargetName", "export_study"]

TargetName = Literal["mlflow", "wandb", "tensorboard", "huggingface"]

_TARGETS: dict[TargetName, Callable[[Exported, str], Outcome]] = {
    "mlflow": to_mlflow,
    "wandb": to_wandb,
    "tensorboard": to_tensorboard,
    "huggingface": to_huggingface,
}


def export_study(study: Study, target: TargetName, into: str = "") -> Outcome:
    """Add a study's runs to a tool; what is there already and has not changed is left alone.

    Parameters
    ----------
    into
        URI of an MLflow tracking server (``MLFLOW_TRACKING_URI`` unless given); for the other
        targets a folder (``exports/TARGET/STUDY`` unless given).

    Raises
    ------
    UserError
        If the study is not scored, or its scores are out of date; if the target's package is
        missing; if the place cannot be written.
    """
    return _TARGETS[target](exported(study), into)
