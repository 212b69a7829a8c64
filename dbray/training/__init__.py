"""Training a model, without Ray: recipe, loop, objective, optimizer, saved state."""

from dbray.training.batches import steps_per_epoch
from dbray.training.distributed import ONE_PROCESS, ProcessGroup, smallest_shard
from dbray.training.evaluation import evaluate_on
from dbray.training.history import LONGEST_HISTORY, EpochRecord, OnEpoch
from dbray.training.loop import AUTOCAST
from dbray.training.objective import Teacher
from dbray.training.optimization import make_optimizer
from dbray.training.recipes import (
    DISTILLATION,
    double_descent_recipe,
    optimizer_recipe,
    randomness_recipe,
    recipe,
)
from dbray.training.training import Training

__all__ = [
    "AUTOCAST",
    "DISTILLATION",
    "LONGEST_HISTORY",
    "ONE_PROCESS",
    "EpochRecord",
    "OnEpoch",
    "ProcessGroup",
    "Teacher",
    "Training",
    "double_descent_recipe",
    "evaluate_on",
    "make_optimizer",
    "optimizer_recipe",
    "randomness_recipe",
    "recipe",
    "smallest_shard",
    "steps_per_epoch",
]
