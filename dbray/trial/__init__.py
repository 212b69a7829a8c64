"""One trial, without Ray: train or load a model, let it answer, write the files, commit."""

from dbray.trial.own_training import factory_of
from dbray.trial.plan import Execution, PlanePlan, covers
from dbray.trial.trial import build, extend_trial, load_model, run_trials, same_training

__all__ = [
    "Execution",
    "PlanePlan",
    "build",
    "covers",
    "extend_trial",
    "factory_of",
    "load_model",
    "run_trials",
    "same_training",
]
