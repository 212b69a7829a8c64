"""Label maps as pictures: indexed PNGs in data URIs, and where the anchors lie on them."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dbray.report.page.palette import class_colours_rgb
from dbray.report.tables.pictures import Picture

LARGEST_ON_PAGE = 200  # points a side; a gallery shows about a hundred
PALEST = 0.2  # share of its colour that the least certain point keeps


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


def picture_image(picture: Picture, classes: int, *, confidence: bool = False) -> Image.Image:
    """A picture in the classes' colours, e1 to the right and e2 upward.

    With ``confidence`` (where the picture has it) colours fade towards white from certainty down
    to the least that an arg-max can have, 1/C.
    """
    colours = class_colours_rgb(classes)
    rows = picture.labels.T[::-1]
    if confidence and picture.confidence is not None:
        certainty = (picture.confidence.T[::-1, :, None] / 255 - 1 / classes) / max(
            1 - 1 / classes, 1e-9
        )
        share = PALEST + (1 - PALEST) * np.clip(certainty, 0, 1)
        return Image.fromarray(np.rint(255 + share * (colours[rows] - 255.0)).astype(np.uint8))
    if classes > 256:  # more than a PNG's palette holds
        return Image.fromarray(colours[rows])
    image = Image.fromarray(np.ascontiguousarray(rows, np.uint8), mode=None)
    image.putpalette(colours.tobytes())
    return image


def picture_uri(picture: Picture, classes: int, *, confidence: bool = False) -> str:
    """A picture as a PNG in a data URI, thinned to what a page can show (some kilobytes)."""
    step = -(-len(picture.labels) // LARGEST_ON_PAGE)
    part = (slice(step // 2, None, step),) * 2
    shade = None if picture.confidence is None else picture.confidence[part]
    image = picture_image(Picture(picture.labels[part], shade), classes, confidence=confidence)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return png_uri(buffer.getvalue())


def png_uri(png: bytes) -> str:
    """PNG bytes as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
