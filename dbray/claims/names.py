"""What groups of trials are called on the page, and which family they belong to."""

from typing import Literal

Family = Literal["convolutional", "other", "unclassified"]

CONVOLUTIONAL = ("vgg", "resnet", "densenet", "wideresnet", "resnet18k")
OTHERS = ("fcnet", "vit", "mixer")
TITLES = {
    "densenet": "DenseNet",
    "fcnet": "FCNet",
    "mixer": "MLP-Mixer",
    "mlp": "MLP",
    "resnet": "ResNet",
    "resnet18k": "ResNet18(k)",
    "vgg": "VGG",
    "vit": "ViT",
    "wideresnet": "WideResNet",
}
FAMILY_TITLES: dict[Family, str] = {
    "convolutional": "convolutional",
    "other": "fully connected, ViT, Mixer",
    "unclassified": "in neither family",
}


def split_label(label: str) -> tuple[str, int]:
    """Architecture and width (0: its usual one) in a group label such as ``wideresnet@10``."""
    name, _, width = label.split("/")[0].partition("@")
    return (name, int(width)) if width.isdigit() else (label.split("/")[0], 0)


def family(label: str) -> Family:
    """Family of a group label; what is no architecture of the paper belongs to none."""
    name, _ = split_label(label)
    if name in CONVOLUTIONAL:
        return "convolutional"
    return "other" if name in OTHERS else "unclassified"


def display_name(label: str) -> str:
    """A group label as people write it; unknown names stay as they are.

    Examples
    --------
    >>> display_name("wideresnet@10")
    'WideResNet-10'
    >>> display_name("resnet18k@4/adam")
    'ResNet18(4) / adam'
    """
    return " / ".join(_part_name(part) for part in label.split("/"))


def _part_name(part: str) -> str:
    name, width = split_label(part)
    if name not in TITLES:
        return part
    if not width:
        return TITLES[name]
    return f"ResNet18({width})" if name == "resnet18k" else f"{TITLES[name]}-{width}"
