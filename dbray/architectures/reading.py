"""How a model that was trained elsewhere is asked, and what of its answer is the logits."""

from dataclasses import dataclass, replace

from dbray.config import CheckpointConfig, OwnTrainingConfig


@dataclass(frozen=True)
class Reading:
    """What stands between our inputs and a model's own, and between its answer and logits."""

    output: str = ""  # name or place of the logits in the answer; none: found by the usual rules
    probabilities: bool = False  # the answer is probabilities: their logarithm is the logits
    scale: tuple[float, ...] = ()  # per channel: the model is given scale * input + shift
    shift: tuple[float, ...] = ()


def reading_of(
    config: CheckpointConfig | OwnTrainingConfig,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]],
    *,
    probabilities: bool = False,
) -> Reading:
    """How a model of a study is read.

    Parameters
    ----------
    normalisation
        Mean and standard deviation per channel of our inputs, where a pixel runs from 0 to 1. A
        model that has its own gets its inputs by it; one that has none is given ours.
    probabilities
        Whether a model of a user's own training answers these, which was seen when it was trained.
    """
    found = Reading(probabilities=probabilities)
    if isinstance(config, CheckpointConfig):
        found = Reading(config.output, config.probabilities)
    if not config.mean:
        return found
    rows = list(zip(config.mean, config.std, *normalisation, strict=True))
    scale = tuple(std / its_std for _, its_std, _, std in rows)
    shift = tuple((mean - its_mean) / its_std for its_mean, its_std, mean, _ in rows)
    return replace(found, scale=scale, shift=shift)
