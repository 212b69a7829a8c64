"""How each architecture is trained unless the command line says otherwise."""

from dataclasses import replace

from dbray.config import DistillationLoss, OptimizerName, SizeName, TrainingConfig

MIRROR_CHANGES_MEANING = ("digits", "scenes", "mnist", "svhn")  # a mirrored digit is no digit

# As published: SGD, step schedule, 100 epochs. The optimizer study moves
# the transformer and the mixer away from SGD at 0.1; they take the rate it gives them for Adam.
# In the reference code Adam's rate stays where it starts.
PAPER = TrainingConfig()
PAPER_BY_ADAM = replace(
    PAPER, optimizer="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant"
)
PAPER_BY_ARCHITECTURE = {"vit": PAPER_BY_ADAM, "mixer": PAPER_BY_ADAM}

SMALL = TrainingConfig(
    epochs=12,
    batch_size=64,
    optimizer="adamw",
    learning_rate=5e-3,
    weight_decay=0.01,
    schedule="one_cycle",
)
SMALL_BY_ARCHITECTURE = {
    "fcnet": replace(SMALL, epochs=40),
    "mlp": replace(SMALL, epochs=40),
    "vit": replace(SMALL, epochs=60),
    "mixer": replace(SMALL, epochs=30, learning_rate=3e-3),
    "wideresnet": replace(SMALL, epochs=8),
}
# Scenes have three times as many images as digits, so that fewer passes do.
SCENES_EPOCHS = {"fcnet": 12, "mlp": 12, "vit": 16, "mixer": 10, "densenet": 6, "wideresnet": 5}
SCENES_EPOCHS_OF_OTHERS = 8

# A study of the sources of randomness has eleven trials where another has a seed: a small network
# that takes long takes half of its usual epochs there.
RANDOMNESS_EPOCHS = {"vit": 30}


# The paper's optimizer study (section 3): learning rates by architecture and optimizer; SAM steps
# like SGD. AdamW is not in it and takes Adam's rate.
PAPER_OPTIMIZERS = replace(PAPER, epochs=200, batch_size=64)
PAPER_RATES = {
    "resnet": {"adam": 0.001, "sgd": 0.05},
    "vgg": {"adam": 0.002, "sgd": 0.005},
    "vit": {"adam": 0.001, "sgd": 0.02},
    "mixer": {"adam": 0.001, "sgd": 0.02},
}
SMALL_RATES = {
    "resnet": {"adam": 5e-3, "sgd": 0.1},
    "vgg": {"adam": 5e-3, "sgd": 0.05},
    "vit": {"adam": 5e-3, "sgd": 0.1},
    "mixer": {"adam": 3e-3, "sgd": 0.2},
}
DECAY = {"sgd": 5e-4, "sam": 5e-4, "adam": 0.0, "adamw": 0.01}


# The paper's double descent (section 4). Small ones leave augmentation out: labels that are wrong
# are to be fitted in minutes. Of digits one batch holds all.
PAPER_DOUBLE_DESCENT = replace(
    PAPER_BY_ADAM, epochs=4000, learning_rate=1e-4, crop_padding=4, flip=True
)
SMALL_DOUBLE_DESCENT = TrainingConfig(
    epochs=30,
    batch_size=128,
    optimizer="adam",
    learning_rate=3e-3,
    weight_decay=0.0,
    schedule="cosine",
    crop_padding=0,
    flip=False,
)
SMALL_DOUBLE_DESCENT_BY_ARCHITECTURE = {
    "mlp": replace(SMALL_DOUBLE_DESCENT, epochs=2000, batch_size=2048, learning_rate=1e-2),
}


# What a student learns unless told otherwise, and the temperature where that is soft outputs. The
# reference code trains students on the teacher's logits, and has soft outputs at 30 beside that.
DISTILLATION: dict[SizeName, tuple[DistillationLoss, float]] = {
    "small": ("kl", 4.0),
    "paper": ("mse", 30.0),
}


def recipe(architecture: str, size: SizeName, dataset: str, side: int) -> TrainingConfig:
    """Training config for an architecture, a size and a data set.

    Parameters
    ----------
    architecture
        A name of the registry, or a user's own factory, which gets the common recipe.
    dataset
        The data set's name; digits are never mirrored.
    side
        Shorter side of the images in pixels: crops shift by an eighth of it, as 4 of 32.
    """
    if size == "paper":
        base = PAPER_BY_ARCHITECTURE.get(architecture, PAPER)
    else:
        base = SMALL_BY_ARCHITECTURE.get(architecture, SMALL)
    if (dataset, size) == ("scenes", "small"):  # where digits lie at random places as they are
        epochs = SCENES_EPOCHS.get(architecture, SCENES_EPOCHS_OF_OTHERS)
        return replace(base, epochs=epochs, crop_padding=0, flip=False)
    return replace(base, crop_padding=side // 8, flip=dataset not in MIRROR_CHANGES_MEANING)


def randomness_recipe(architecture: str, size: SizeName, dataset: str, side: int) -> TrainingConfig:
    """Training config of the study of sources of randomness: the usual one, shortened for some.

    Parameters
    ----------
    architecture, size, dataset, side
        As for ``recipe``.
    """
    usual = recipe(architecture, size, dataset, side)
    most = RANDOMNESS_EPOCHS.get(architecture, usual.epochs) if size == "small" else usual.epochs
    return replace(usual, epochs=min(usual.epochs, most))


def optimizer_recipe(
    architecture: str, optimizer: OptimizerName, size: SizeName, dataset: str, side: int
) -> TrainingConfig:
    """Training config of the optimizer study; architectures it does not have train as ResNet does.

    Parameters
    ----------
    architecture, size, dataset, side
        As for ``recipe``.

    References
    ----------
    Somepalli et al., CVPR 2022, section 3; the reference code's learning rates.
    """
    common = recipe(architecture, size, dataset, side)
    rates = PAPER_RATES if size == "paper" else SMALL_RATES
    kind = "sgd" if optimizer in ("sgd", "sam") else "adam"
    if size == "paper":
        common = replace(PAPER_OPTIMIZERS, crop_padding=common.crop_padding, flip=common.flip)
    chosen = replace(
        common,
        optimizer=optimizer,
        learning_rate=rates.get(architecture, rates["resnet"])[kind],
        weight_decay=DECAY[optimizer],
    )
    if (kind, size) == ("adam", "paper"):
        chosen = replace(chosen, schedule="constant")
    # Without an adaptive rate a transformer learns slowly, and not at all under weight decay.
    if (architecture, kind, size) == ("vit", "sgd", "small"):
        chosen = replace(chosen, epochs=100, batch_size=32, weight_decay=0.0)
    return chosen


def double_descent_recipe(
    architecture: str, size: SizeName, dataset: str, side: int
) -> TrainingConfig:
    """Training config of the double-descent study: long enough to fit wrong labels.

    Parameters
    ----------
    architecture, size, dataset, side
        As for ``recipe``.

    References
    ----------
    Somepalli et al., CVPR 2022, section 4; Nakkiran et al., Deep Double Descent, ICLR 2020.
    """
    if size == "small":
        return SMALL_DOUBLE_DESCENT_BY_ARCHITECTURE.get(architecture, SMALL_DOUBLE_DESCENT)
    common = recipe(architecture, size, dataset, side)
    return replace(PAPER_DOUBLE_DESCENT, crop_padding=common.crop_padding, flip=common.flip)
