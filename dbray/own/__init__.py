"""What is the user's: weights from elsewhere, trainings that dbray only calls. No Ray."""

from dbray.own.factory import build_with, factory_path
from dbray.own.recipe import OwnRecipe, recipe_of
from dbray.own.seeds import Seeds
from dbray.own.training import Trained, train_own

__all__ = [
    "OwnRecipe",
    "Seeds",
    "Trained",
    "build_with",
    "factory_path",
    "recipe_of",
    "train_own",
]
