"""dbray: how reproducible is the training of a neural network?"""

__version__ = "0.1.0"
