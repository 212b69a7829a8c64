"""The claim about optimizers, C5.

References
----------
Somepalli et al., CVPR 2022, section 3.
"""

from dbray.claims.contrasts import Asked, Claim, Contrast, less, within
from dbray.claims.names import display_name
from dbray.config import TrialConfig

STATEMENT = "Sharpness-aware minimisation (SAM) gives higher reproducibility than SGD and Adam."
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "sam": "SAM"}  # names for people


def optimizer_claim(asked: Asked) -> Claim:
    """SAM less SGD and less Adam, each on average over the architectures that have both."""
    labels: dict[str, dict[str, str]] = {}  # by architecture and optimizer
    for label in asked.repeated:
        config = asked.trials[label][0].config
        if isinstance(config, TrialConfig):
            labels.setdefault(config.name, {})[config.training.optimizer] = label
    means, single = [], []
    for other in ("sgd", "adam"):
        both = {name: found for name, found in labels.items() if {"sam", other} <= found.keys()}
        if not both:
            continue
        name = f"SAM \N{MINUS SIGN} {OPTIMIZERS[other]}"
        above = [within(found["sam"]) for found in both.values()]
        below = [within(found[other]) for found in both.values()]
        means.append(Contrast("C5", name, less(above, below)))
        if len(both) > 1:
            single += [
                Contrast("C5", f"{display_name(each)}: {name}", less([a], [b]), decides=False)
                for each, a, b in zip(both, above, below, strict=True)
            ]
    missing = (
        "" if len(means) == 2 else "It needs SAM, SGD and Adam, each with two finished trials."
    )
    return Claim("C5", STATEMENT, (*means, *single), missing)
