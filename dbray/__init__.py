"""dbray measures how reproducible the training of a neural network is."""

__version__ = "0.1.0"
