"""Any classifier on continuous inputs as a module that gives scores, scikit-learn's and others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dbray.errors import UserError, one_line, reason


class ArrayClassifier(nn.Module):
    """A function from an array (n, features ...) to scores (n, C), called on a CPU.

    With ``flat``, it gets a row of numbers for each input, as estimators want it.
    """

    def __init__(self, scores: Callable[[Any], Any], *, flat: bool) -> None:
        super().__init__()
        self.scores, self.flat = scores, flat

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores as they come, float, on the device of the inputs; (n, 1) where one is enough."""
        given = inputs.cpu().numpy()
        found = np.asarray(self.scores(given.reshape(len(given), -1) if self.flat else given))
        if found.dtype.kind not in "fiub":
            raise UserError(f"gives {found.dtype} where scores are numbers")
        if found.dtype.kind != "f" and found.ndim == 1:
            raise UserError(
                "gives one class for each input; scores of all classes are needed, such as "
                "predict_proba gives them"
            )
        scores = found if found.ndim > 1 else found.reshape(-1, 1)
        kept = scores.astype(np.result_type(scores.dtype, np.float32), copy=True)
        return torch.from_numpy(kept).to(inputs.device)


def as_module(name: str, model: Any) -> nn.Module:  # noqa: ANN401 - whatever classifies
    """A classifier as a module: itself, or what calls it.

    Of an estimator after scikit-learn's manner ``predict_proba`` is asked, or
    ``decision_function`` where there is none; anything else is called.

    Raises
    ------
    UserError
        If it is nothing of that kind.
    """
    if isinstance(model, nn.Module):
        return model
    about = f"model {one_line(name)}"
    if isinstance(model, type):
        raise UserError(f"{about}: is a class; make one of it")
    for method in ("predict_proba", "decision_function"):
        try:
            found = getattr(model, method, None)
        except Exception as error:  # scikit-learn offers some methods under conditions
            raise UserError(f"{about}: {reason(error)}") from error
        if callable(found):
            return ArrayClassifier(found, flat=True)
    if callable(model) and not hasattr(model, "predict"):
        return ArrayClassifier(model, flat=False)
    raise UserError(
        f"{about}: {type(model).__name__} gives no scores; it must be a torch.nn.Module, have "
        "predict_proba or decision_function, or be a function from an array to scores"
    )
