"""What planes and their anchors are called on the page."""

from collections.abc import Sequence

KIND_TITLES = {
    "test": "three test images",
    "train": "three training images",
    "uniform": "three images of uniform noise",
    "shuffled": "three images, pixels shuffled",
    "mixed": "an image and two with pixels shuffled",
    "gaussian": "an image and two noisy copies",
    "rotated": "an image turned by 90 and 180 degrees",
    "adversarial": "an image and two perturbed copies",
    "chosen": "three chosen test images",
    "train_correct": "three rightly labelled images",
    "train_mislabelled": "three wrongly labelled images",
}  # what planes of a kind go through
NOTHING = "no image"  # class of an anchor that shows nothing


def class_name(names: Sequence[str], of_class: int) -> str:
    """Name of an anchor's class."""
    return names[of_class] if of_class >= 0 else NOTHING
