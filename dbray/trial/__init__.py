"""One trial, without Ray: train or load a model, let it answer, write the files, commit."""

from dbray.trial.models import build, load_model
from dbray.trial.own_training import factory_of
from dbray.trial.plan import Execution, PlanePlan, covers
from dbray.trial.trained import same_training
from dbray.trial.trial import extend_trial, run_trials

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
