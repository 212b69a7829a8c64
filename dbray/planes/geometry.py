"""Geometry of the plane through three points of input space: its frame and its grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """The two-dimensional coordinate system of one plane in input space.

    Attributes
    ----------
    origin
        float64, shape (D,): the first anchor.
    axes
        float64, shape (2, D): orthonormal directions e1, e2.
    anchors
        float64, shape (3, 2): coordinates (alpha, beta) of x1, x2, x3, in units of
        normalised-input distance.
    """

    origin: Float64
    axes: Float64
    anchors: Float64


def plane_frame(anchors: NDArray[np.floating]) -> Frame:
    """Orthonormal frame of the plane through three points.

    Parameters
    ----------
    anchors
        shape (3, D): x1, x2, x3 as normalised inputs, flattened.

    Raises
    ------
    ValueError
        If the three points lie on one line (or coincide) and so span no plane.
    """
    x1, x2, x3 = anchors.astype(np.float64)
    a, b = x2 - x1, x3 - x1
    length_a = float(np.linalg.norm(a))
    if length_a == 0:
        raise ValueError("the first two anchors coincide")
    e1 = a / length_a
    along = b @ e1
    across = b - along * e1
    height = float(np.linalg.norm(across))
    # A relative bound: rounding leaves about 1e-16 of |b| across e1 for points on one line.
    if height <= 1e-9 * max(length_a, float(np.linalg.norm(b))):
        raise ValueError("the three anchors lie on one line")
    coordinates = np.array([[0.0, 0.0], [length_a, 0.0], [along, height]])
    return Frame(origin=x1, axes=np.stack([e1, across / height]), anchors=coordinates)


def plane_grid(frame: Frame, resolution: int, extent: float) -> Float64:
    """Coordinates of the R x R grid on the anchors' bounding box, widened by ``extent``.

    Parameters
    ----------
    extent
        Share of each side's own length that is added at both of its ends.

    Returns
    -------
    float64, shape (R, R, 2): (alpha, beta) of each point; the first index runs along e1, the
    second along e2, and both ends are included.
    """
    low, high = frame.anchors.min(axis=0), frame.anchors.max(axis=0)
    margin = extent * (high - low)
    alpha, beta = np.linspace(low - margin, high + margin, resolution).T
    return np.stack(np.meshgrid(alpha, beta, indexing="ij"), axis=-1)
