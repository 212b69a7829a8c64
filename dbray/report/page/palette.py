"""Class colours that stay apart for readers with any of the common colour-vision deficiencies.

Of 900 colours of a regular grid, neither pale nor garish, a search kept the ten whose two most
alike ones differ most by CIEDE2000, as seen with normal vision (weighted to demand 1.35 times as
much) and by people without one of the three kinds of cone. The smallest difference is 17.4, where
1 is just seen between two fields that touch; among the ten colours of the customary
"tab10" set it is 1.3. Further classes get the colour furthest from all before it in OKLab, over the
same kinds of vision.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

FIRST_TEN = (
    "#1c38a8",
    "#f8e054",
    "#a81c54",
    "#8ce0c4",
    "#383800",
    "#e08c70",
    "#8c70e0",
    "#548c8c",
    "#c4c4f8",
    "#8c7000",
)

# Linear RGB as seen without one kind of cone: Machado, Oliveira and Fernandes, "A
# physiologically-based model for simulation of color vision deficiency", 2009, severity 1.
VISION: dict[str, Float64] = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}

# Linear RGB to OKLab: Ottosson, "A perceptual color space for image processing", 2020.
RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

# Levels of red, green and blue that further colours may have. Neither white nor black is among
# them: white is the page, black the ink.
LEVELS = (24, 72, 112, 152, 192, 228)


def class_colours(classes: int) -> list[str]:
    """Colours of classes 0 to C-1 as ``#rrggbb``; class c has the same colour whatever C is."""
    return list(_colours(classes))


def class_colours_rgb(classes: int) -> NDArray[np.uint8]:
    """The same colours as uint8, shape (C, 3)."""
    return _rgb(class_colours(classes))


def seen_as(rgb: NDArray[np.uint8], vision: str) -> Float64:
    """OKLab coordinates of colours as one kind of vision sees them.

    Parameters
    ----------
    rgb
        sRGB, uint8, shape (n, 3).
    vision
        A key of ``VISION``.

    Returns
    -------
    float64, shape (n, 3).
    """
    share = rgb / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ VISION[vision].T, 0.0, 1.0)
    lab: Float64 = np.cbrt(seen @ RGB_TO_LMS.T) @ LMS_TO_LAB.T
    return lab


@lru_cache
def _colours(classes: int) -> tuple[str, ...]:
    if classes <= len(FIRST_TEN):
        return FIRST_TEN[:classes]
    grid = np.array(np.meshgrid(LEVELS, LEVELS, LEVELS), np.uint8).reshape(3, -1).T
    chosen = list(FIRST_TEN)
    nearest = _distances(grid, _rgb(chosen)).min(axis=1)
    while len(chosen) < classes:
        furthest = grid[int(nearest.argmax())]
        chosen.append("#{:02x}{:02x}{:02x}".format(*furthest.tolist()))
        # Colours run out after 6 ** 3; from there on they repeat in a fixed order.
        if nearest.max() == 0.0:
            chosen[-1] = chosen[len(chosen) - 1 - len(grid)]
        nearest = np.minimum(nearest, _distances(grid, furthest[None])[:, 0])
    return tuple(chosen)


def _distances(some: NDArray[np.uint8], others: NDArray[np.uint8]) -> Float64:
    """Smallest OKLab distance over the kinds of vision, shape (some, others)."""
    each = [
        np.linalg.norm(seen_as(some, v)[:, None] - seen_as(others, v)[None], axis=-1)
        for v in VISION
    ]
    smallest: Float64 = np.min(each, axis=0)
    return smallest


def _rgb(colours: list[str]) -> NDArray[np.uint8]:
    values = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours]
    return np.array(values, np.uint8).reshape(-1, 3)
