"""Images as PNG files in memory."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """PNG of one image, uint8, shape (channels, height, width), with one or three channels."""
    pixels = image[0] if image.shape[0] == 1 else image[:3].transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
