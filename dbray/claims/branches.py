"""Claim of a study whose trainings branch: the later they part, the closer their ends."""

from dbray.claims.contrasts import SCORED_KIND, Asked, Claim, Contrast, Key
from dbray.claims.names import display_name
from dbray.config import TrialConfig, architecture_name
from dbray.sources import Branch


def branch_key(architecture: str, what: str, epoch: int) -> Key:
    """Disagreement of trainings that part after an epoch with those that they part from."""
    return Key("randomness", SCORED_KIND, architecture, f"{what} from epoch {epoch}")


def branch_claim(asked: Asked) -> Claim:
    """R4: earliest less latest branch, for every architecture and what changes."""
    epochs: dict[tuple[str, str], set[int]] = {}
    for architecture, branch in _branches(asked):
        epochs.setdefault((architecture, branch.what), set()).add(branch.epoch)
    contrasts = [
        Contrast(
            "R4",
            f"{display_name(architecture)}, {what}: disagreement, parting after epoch "
            f"{min(found)} - after epoch {max(found)}",
            {
                branch_key(architecture, what, min(found)): 1.0,
                branch_key(architecture, what, max(found)): -1.0,
            },
        )
        for (architecture, what), found in sorted(epochs.items())
        if len(found) > 1
    ]
    return Claim(
        "R4",
        "The later two trainings part, the closer their ends.",
        tuple(contrasts),
        "" if contrasts else "No trainings part after two or more epochs (--branch-epochs).",
    )


def _branches(asked: Asked) -> list[tuple[str, Branch]]:
    configs = [trial.config for trials in asked.trials.values() for trial in trials]
    return [
        (architecture_name(config.architecture, config.width), config.branch)
        for config in configs
        if isinstance(config, TrialConfig) and config.branch and config.branch.what
    ]
