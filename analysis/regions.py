"""Label maps as pictures: indexed PNGs in data URIs, and where the anchors lie on them."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.palette import class_colours_rgb


@dataclass(frozen=True)
class Rectangle:
    """The plotted rectangle of a plane in the plane's own coordinates.

    Attributes
    ----------
    low, high
        (alpha, beta) of the lower left and upper right corner, normalised-input distance.
    """

    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def aspect(self) -> float:
        """Width (along e1) over height (along e2)."""
        return (self.high[0] - self.low[0]) / (self.high[1] - self.low[1])


def plotted_rectangle(coordinates: NDArray[np.floating], extent: float) -> Rectangle:
    """Bounding box of the anchors, widened on every side by a share of its side.

    Parameters
    ----------
    coordinates
        (alpha, beta) of the three anchors, shape (3, 2).

    References
    ----------
    Somepalli et al., CVPR 2022, section 2.
    """
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    margin = extent * (high - low)
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return Rectangle((left, bottom), (right, top))


def positions_in_picture(
    coordinates: NDArray[np.floating], extent: float, resolution: int
) -> NDArray[np.float64]:
    """Where the anchors lie in a picture of R x R points, as shares of its width and height.

    The grid includes both ends, so its first and last points are the centres of the picture's
    outermost pixels, half a pixel inside its edge.

    Returns
    -------
    float64, shape (3, 2): to the right and *downward* from the upper left corner, 0 to 1.
    """
    box = plotted_rectangle(coordinates, extent)
    share = (coordinates - np.array(box.low)) / (np.array(box.high) - np.array(box.low))
    inside = (share * (resolution - 1) + 0.5) / resolution
    return np.stack([inside[:, 0], 1.0 - inside[:, 1]], axis=1)


def label_map_image(label_map: NDArray[np.unsignedinteger], classes: int) -> Image.Image:
    """A label map as a picture, e1 to the right and e2 upward.

    Parameters
    ----------
    label_map
        Labels below C, shape (R, R), first axis along e1.
    """
    rows = label_map.T[::-1]
    colours = class_colours_rgb(classes)
    if classes > 256:  # more than a PNG's palette holds
        return Image.fromarray(colours[rows])
    image = Image.fromarray(np.ascontiguousarray(rows, np.uint8), mode=None)
    image.putpalette(colours.tobytes())
    return image


def label_map_uri(label_map: NDArray[np.unsignedinteger], classes: int) -> str:
    """A label map as a PNG in a data URI (some kilobytes at R = 100)."""
    buffer = io.BytesIO()
    label_map_image(label_map, classes).save(buffer, "PNG", optimize=True)
    return png_uri(buffer.getvalue())


def png_uri(png: bytes) -> str:
    """PNG bytes as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
