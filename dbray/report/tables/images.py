"""The test images that models of one group are most at odds about, and what these call them."""

from collections import Counter
from dataclasses import dataclass

from dbray.report.tables.score_tables import read_contested
from dbray.store import Study

THUMBNAILS_FILE = "thumbnails.parquet"
MOST_SHOWN = 12


@dataclass(frozen=True)
class ContestedImage:
    """One test image.

    Attributes
    ----------
    disagreement
        Share of the pairs of models of one group, over all groups, that disagree.
    counts
        Classes and by how many models, of all groups, they are named; the most frequent first.
    png
        The image; None if it is not stored.
    """

    image_id: int
    label: int
    disagreement: float
    counts: tuple[tuple[int, int], ...]
    png: bytes | None

    @property
    def models(self) -> int:
        """Number of models."""
        return sum(count for _, count in self.counts)


@dataclass(frozen=True)
class Contested:
    """The most contested images, and of how many images those are."""

    shown: list[ContestedImage]
    images: int
    undisputed: int  # images on which no two models of one group disagree


def contested_ids(study: Study) -> list[int]:
    """Ids of the most contested test images of a scored study, in order."""
    _, shares = read_contested(study, MOST_SHOWN)
    ids: list[int] = shares[shares > 0].index[:MOST_SHOWN].tolist()
    return ids


def contested_images(study: Study) -> Contested:
    """The most contested test images of a scored study, the most contested first."""
    rows, shares = read_contested(study, MOST_SHOWN)
    thumbnails = _thumbnails(study)
    shown = []
    for image_id in shares[shares > 0].index[:MOST_SHOWN]:
        of_image = rows[rows.image_id == image_id]
        counts: Counter[int] = Counter()
        for classes, times in zip(of_image.classes, of_image.counts, strict=True):
            counts.update(dict(zip(classes.tolist(), times.tolist(), strict=True)))
        shown.append(
            ContestedImage(
                image_id=int(image_id),
                label=int(of_image.label.iloc[0]),
                disagreement=float(shares[image_id]),
                counts=tuple(sorted(counts.items(), key=lambda found: (-found[1], found[0]))),
                png=thumbnails.get(int(image_id)),
            )
        )
    return Contested(shown, len(shares), int((shares == 0).sum()))


def _thumbnails(study: Study) -> dict[int, bytes]:
    """The images that are stored, by id."""
    try:
        table = study.read_table(THUMBNAILS_FILE)
    except FileNotFoundError:  # scored without the data set
        return {}
    return dict(zip(table["image_id"].to_pylist(), table["png"].to_pylist(), strict=True))
